"""Change, delete, activate and deactivate accounts. One active administrator always remains."""

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, cast
from uuid import UUID

from pydantic import BaseModel

from mscr.core.client import Client
from mscr.core.exceptions import LastAdministratorError, NotFoundError, UnauthorizedError
from mscr.core.security.principal import Principal
from mscr.http.preconditions import Preconditions
from mscr.http.representation import Versioned
from mscr.models.account import AccountMixin
from mscr.models.audit_event import AuditAction
from mscr.repositories.account_repository import AccountRepository, AccountType
from mscr.services.account_deletion_service import AccountDeletionService
from mscr.services.audit_event_service import AuditTrail, Parties
from mscr.services.credential_service import CredentialService
from mscr.services.unit_of_work import retried


class AccountLifecycleService(Generic[AccountType]):
    """A user's own account, and its administration.

    The model has a `VersionMixin`. A subclass names `administrators`: accounts whose columns have
    these values. The deletion of an account erases the columns that its models declare as personal;
    a subclass overrides `erase` for more.
    """

    administrators: ClassVar[Mapping[str, Any]]

    def __init__(
        self,
        user_repo: AccountRepository[AccountType],
        credentials: CredentialService[AccountType],
        deletion: AccountDeletionService[AccountType],
        audit: AuditTrail,
    ) -> None:
        self.user_repo = user_repo
        self._credentials = credentials
        self._deletion = deletion
        self._audit = audit

    async def update(
        self, user_id: int, data: BaseModel, preconditions: Preconditions
    ) -> AccountType:
        """Raises `UnauthorizedError` if the account was deleted during the request."""
        user = await self.user_repo.lock(id=user_id)
        if user is None:
            raise UnauthorizedError
        preconditions.check(_versioned(user))
        await self.user_repo.update(user, **data.model_dump(exclude_unset=True))
        await self.user_repo.commit()
        return user

    async def delete_account(
        self, user_id: int, password: str, client: Client, preconditions: Preconditions
    ) -> None:
        """Delete the account and all rows that belong to it, and erase its personal data.

        Raises `WrongPasswordError`, `TooManyRequestsError` and `LastAdministratorError`.
        """
        # Not retried: each call counts as an attempt.
        known = await self._credentials.confirm(user_id, password, client)
        await self._delete(known, preconditions)

    async def erase(self, user: AccountType) -> None:
        """Override this to erase what no declaration names: a file, a copy in another table.

        It is called with the locked account, before its personal columns are erased, and what
        belongs to it is deleted. Do not commit. It runs again after a deadlock.
        """

    # Retried after a deadlock: it locks all rows of the account, in no fixed order.
    @retried
    async def _delete(self, known: AccountType, preconditions: Preconditions) -> None:
        owner = Parties.owner(known.public_id)
        await self._keep_an_administrator(known, AuditAction.DELETE_ACCOUNT, owner)
        # Still no administrator, if it was none: one that was promoted might be the last.
        unchanged = {name: getattr(known, name) for name in self.administrators}
        user = await self.user_repo.lock(id=known.id, auth_version=known.auth_version, **unchanged)
        if user is None:
            raise UnauthorizedError
        preconditions.check(_versioned(user))
        await self.erase(user)
        await self._deletion.delete(user)
        await self.user_repo.commit()

    async def activate(self, public_id: UUID, manager: Principal) -> AccountType:
        """Let the user log in again. Raises `NotFoundError`."""
        user = await self._lock(public_id)
        if not user.is_active:
            user.is_active = True
            await self._audit.record(AuditAction.ACTIVATE_USER, _managed(user, manager))
        await self.user_repo.commit()
        return user

    async def deactivate(self, public_id: UUID, manager: Principal) -> AccountType:
        """Lock the user out immediately. Raises `NotFoundError` and `LastAdministratorError`."""
        found = await self.user_repo.get_by_public_id(public_id)
        if found is None:
            raise NotFoundError
        parties = _managed(found, manager)
        await self._keep_an_administrator(found, AuditAction.DEACTIVATE_USER, parties)
        user = await self._lock(public_id)
        if user.is_active:
            user.is_active = False
            user.auth_version += 1
            await self._audit.record(AuditAction.DEACTIVATE_USER, parties)
        await self.user_repo.commit()
        return user

    async def _lock(self, public_id: UUID) -> AccountType:
        user = await self.user_repo.lock(public_id=str(public_id))
        if user is None:
            raise NotFoundError
        return user

    async def _keep_an_administrator(
        self, user: AccountType, action: AuditAction, parties: Parties
    ) -> None:
        """Lock the administrators first: `user` may have been deactivated concurrently."""
        if any(getattr(user, name) != value for name, value in self.administrators.items()):
            return
        if list(await self.user_repo.lock_active(**self.administrators)) == [user.id]:
            await self._audit.refuse(action, LastAdministratorError.code, parties)
            raise LastAdministratorError


def _managed(user: AccountMixin, manager: Principal) -> Parties:
    return Parties(manager.public_id, user.public_id, manager.session_id)


def _versioned(user: AccountMixin) -> Versioned:
    return cast("Versioned", user)
