"""Accounts: what their owners do with them, and what administrators do."""

from uuid import UUID

from app.core.client import Client
from app.core.exceptions import (
    LastAdministratorError,
    NotFoundError,
    UnauthorizedError,
    ValidationFailedError,
)
from app.core.preconditions import Preconditions
from app.core.security.password import normalize
from app.core.security.principal import Principal
from app.models.audit_event import AuditAction
from app.models.user import User
from app.repositories.idempotency_key_repository import IdempotencyKeyRepository
from app.repositories.owned_row_repository import OwnedRowRepository
from app.repositories.unit_of_work import retried
from app.repositories.user_repository import UserRepository
from app.schemas.auth_schemas import ChangePasswordRequest
from app.schemas.user_schemas import UserUpdate
from app.services.audit_event_service import AuditTrail, Parties
from app.services.credential_service import CredentialService
from app.services.refresh_token_service import IssuedTokens, RefreshTokenService

# Not a hash: no password verifies against it.
UNUSABLE_PASSWORD_HASH = "!"  # noqa: S105


class UserService:
    def __init__(
        self,
        user_repo: UserRepository,
        owned_rows: OwnedRowRepository,
        idempotency_keys: IdempotencyKeyRepository,
        credentials: CredentialService,
        sessions: RefreshTokenService,
        audit: AuditTrail,
    ) -> None:
        self.user_repo = user_repo
        self._owned_rows = owned_rows
        self._idempotency_keys = idempotency_keys
        self._credentials = credentials
        self._sessions = sessions
        self._audit = audit

    async def update(self, user_id: int, data: UserUpdate, preconditions: Preconditions) -> User:
        """Raises `UnauthorizedError`: the caller's account went away during the request."""
        user = await self.user_repo.lock(id=user_id)
        if user is None:
            raise UnauthorizedError
        preconditions.check(user)
        await self.user_repo.update(user, **data.model_dump(exclude_unset=True))
        await self.user_repo.commit()
        return user

    async def change_password(
        self, user_id: int, data: ChangePasswordRequest, client: Client
    ) -> IssuedTokens:
        """End every session and start a new one, whose tokens are returned.

        Raises `WrongPasswordError`, `TooManyRequestsError`, and `ValidationFailedError` for the
        new password.
        """
        self._credentials.check_new(data.new_password, field="new_password")
        known = await self._credentials.confirm(user_id, data.current_password, client)
        self._credentials.check_new(
            data.new_password, field="new_password", email=known.email, full_name=known.full_name
        )
        if normalize(data.new_password) == normalize(data.current_password):
            raise ValidationFailedError(
                "The new password is the current one.",
                loc=("body", "new_password"),
                error_type="password_unchanged",
            )
        new_hash = await self._credentials.hash_new(data.new_password)
        user = await self._lock_unchanged(known)
        user.password_hash = new_hash
        user.auth_version += 1
        tokens = await self._sessions.start_family(user, client, AuditAction.CHANGE_PASSWORD)
        await self.user_repo.commit()
        return tokens

    async def delete_account(
        self, user_id: int, password: str, client: Client, preconditions: Preconditions
    ) -> None:
        """Remove the account and its items, and what it says about a person.

        Raises `WrongPasswordError`, `TooManyRequestsError` and `LastAdministratorError`.
        """
        # Not retried: it counts the attempt.
        known = await self._credentials.confirm(user_id, password, client)
        await self._delete(known, preconditions)

    # The rows of all its items are locked, in no order: others may hold some, and wait for more.
    @retried
    async def _delete(self, known: User, preconditions: Preconditions) -> None:
        owner = Parties.owner(known.public_id)
        await self._keep_an_administrator(known, AuditAction.DELETE_ACCOUNT, owner)
        user = await self._lock_unchanged(known)
        preconditions.check(user)
        user.email = user.email_key = f"{user.public_id}@deleted.invalid"
        user.full_name = None
        user.password_hash = UNUSABLE_PASSWORD_HASH
        user.auth_version += 1
        await self.user_repo.soft_delete(user)
        await self._owned_rows.soft_delete(user.id)
        await self._idempotency_keys.delete_owned(user.id)
        await self._sessions.forget_clients(user.id)
        await self._audit.record(AuditAction.DELETE_ACCOUNT, owner)
        await self.user_repo.commit()

    async def activate(self, public_id: UUID, manager: Principal) -> User:
        user = await self._lock_by_public_id(public_id)
        if not user.is_active:
            user.is_active = True
            await self._audit.record(AuditAction.ACTIVATE_USER, _managed(user, manager))
        await self.user_repo.commit()
        return user

    async def deactivate(self, public_id: UUID, manager: Principal) -> User:
        """Lock the user out, now. Raises `LastAdministratorError`."""
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

    async def _lock_unchanged(self, known: User) -> User:
        """The locked row, unless the account is no longer what was decided upon.

        Of two changes of a password at once, the second was proved with one that is no more. And
        whoever was made an administrator meanwhile might be the last.
        """
        user = await self.user_repo.lock(id=known.id)
        if user is None or (user.auth_version, user.role) != (known.auth_version, known.role):
            raise UnauthorizedError
        return user

    async def _keep_an_administrator(
        self, user: User, action: AuditAction, parties: Parties
    ) -> None:
        """Asked of the locked rows: by now, `user` may have been deactivated by somebody else."""
        if user.is_admin and list(await self.user_repo.lock_active_admins()) == [user.id]:
            await self._audit.refuse(action, LastAdministratorError.code, parties)
            raise LastAdministratorError


def _managed(user: User, manager: Principal) -> Parties:
    return Parties(manager.public_id, user.public_id, manager.session_id)
