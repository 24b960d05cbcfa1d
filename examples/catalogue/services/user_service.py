"""A user's own account (change and deletion), and its administration."""

from uuid import UUID

from examples.catalogue.models.user import User, UserRole
from examples.catalogue.repositories.user_repository import UserRepository
from examples.catalogue.schemas.user_schemas import UserUpdate
from mscr.core.client import Client
from mscr.core.exceptions import LastAdministratorError, NotFoundError, UnauthorizedError
from mscr.core.security.principal import Principal
from mscr.http.preconditions import Preconditions
from mscr.models.audit_event import AuditAction
from mscr.services.account_deletion_service import AccountDeletionService
from mscr.services.audit_event_service import AuditTrail, Parties
from mscr.services.credential_service import CredentialService
from mscr.services.unit_of_work import retried


class UserService:
    def __init__(
        self,
        user_repo: UserRepository,
        credentials: CredentialService[User],
        deletion: AccountDeletionService[User],
        audit: AuditTrail,
    ) -> None:
        self.user_repo = user_repo
        self._credentials = credentials
        self._deletion = deletion
        self._audit = audit

    async def update(self, user_id: int, data: UserUpdate, preconditions: Preconditions) -> User:
        """Raises `UnauthorizedError` if the account was deleted during the request."""
        user = await self.user_repo.lock(id=user_id)
        if user is None:
            raise UnauthorizedError
        preconditions.check(user)
        await self.user_repo.update(user, **data.model_dump(exclude_unset=True))
        await self.user_repo.commit()
        return user

    async def delete_account(
        self, user_id: int, password: str, client: Client, preconditions: Preconditions
    ) -> None:
        """Delete the account and all rows with its `owner_id`, and erase its personal data.

        Raises `WrongPasswordError`, `TooManyRequestsError` and `LastAdministratorError`.
        """
        # Not retried: each call counts as an attempt.
        known = await self._credentials.confirm(user_id, password, client)
        await self._delete(known, preconditions)

    # Retried after a deadlock: it locks all items of the account, in no fixed order.
    @retried
    async def _delete(self, known: User, preconditions: Preconditions) -> None:
        owner = Parties.owner(known.public_id)
        await self._keep_an_administrator(known, AuditAction.DELETE_ACCOUNT, owner)
        # The role must be unchanged: a user promoted meanwhile might be the last administrator.
        user = await self.user_repo.lock(
            id=known.id, auth_version=known.auth_version, role=known.role
        )
        if user is None:
            raise UnauthorizedError
        preconditions.check(user)
        _erase_personal_data(user)
        await self._deletion.delete(user)
        await self.user_repo.commit()

    async def activate(self, public_id: UUID, manager: Principal) -> User:
        user = await self._lock_by_public_id(public_id)
        if not user.is_active:
            user.is_active = True
            await self._audit.record(AuditAction.ACTIVATE_USER, _managed(user, manager))
        await self.user_repo.commit()
        return user

    async def deactivate(self, public_id: UUID, manager: Principal) -> User:
        """Lock the user out immediately. Raises `LastAdministratorError`."""
        found = await self._find(public_id)
        parties = _managed(found, manager)
        await self._keep_an_administrator(found, AuditAction.DEACTIVATE_USER, parties)
        user = await self._lock_by_public_id(public_id)
        if user.is_active:
            user.is_active = False
            user.auth_version += 1
            await self._audit.record(AuditAction.DEACTIVATE_USER, parties)
        await self.user_repo.commit()
        return user

    async def _find(self, public_id: UUID) -> User:
        user = await self.user_repo.get_by_public_id(public_id)
        if user is None:
            raise NotFoundError
        return user

    async def _lock_by_public_id(self, public_id: UUID) -> User:
        user = await self.user_repo.lock(public_id=str(public_id))
        if user is None:
            raise NotFoundError
        return user

    async def _keep_an_administrator(
        self, user: User, action: AuditAction, parties: Parties
    ) -> None:
        """Lock the administrators first: `user` may have been deactivated concurrently."""
        if not user.is_admin:
            return
        if list(await self.user_repo.lock_active(role=UserRole.ADMIN)) == [user.id]:
            await self._audit.refuse(action, LastAdministratorError.code, parties)
            raise LastAdministratorError


def _erase_personal_data(user: User) -> None:
    """Overwrite your columns with personal data: add each here. The kit erases its own."""
    user.full_name = user.affiliation = None


def _managed(user: User, manager: Principal) -> Parties:
    return Parties(manager.public_id, user.public_id, manager.session_id)
