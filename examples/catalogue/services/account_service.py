"""The caller's own account."""

from examples.catalogue.models.user import User
from examples.catalogue.repositories.user_repository import UserRepository
from mscr.core.client import Client
from mscr.core.exceptions import UnauthorizedError
from mscr.http.preconditions import Preconditions
from mscr.services.account_deletion_service import AccountDeletionService
from mscr.services.credential_service import CredentialService
from mscr.services.unit_of_work import retried


class AccountService:
    def __init__(
        self,
        user_repo: UserRepository,
        credentials: CredentialService[User],
        deletion: AccountDeletionService[User],
    ) -> None:
        self.user_repo = user_repo
        self._credentials = credentials
        self._deletion = deletion

    async def delete(
        self, user_id: int, password: str, client: Client, preconditions: Preconditions
    ) -> None:
        """Delete the account with its items and tags, and erase its personal data.

        Raises `WrongPasswordError` and `TooManyRequestsError`.
        """
        # Not retried: each call counts as an attempt.
        known = await self._credentials.confirm(user_id, password, client)
        await self._delete(known, preconditions)

    # Retried after a deadlock: it locks all rows of the account, in no fixed order.
    @retried
    async def _delete(self, known: User, preconditions: Preconditions) -> None:
        user = await self.user_repo.lock(id=known.id, auth_version=known.auth_version)
        if user is None:
            raise UnauthorizedError
        preconditions.check(user)
        user.full_name = user.affiliation = None
        await self._deletion.delete(user)
        await self.user_repo.commit()
