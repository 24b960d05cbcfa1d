"""Delete an account: end its sessions, erase its personal data, delete what belongs to it."""

from typing import Final, Generic

from mscr.models.audit_event import AuditAction
from mscr.repositories.account_repository import AccountRepository, AccountType
from mscr.repositories.idempotency_key_repository import IdempotencyKeyRepository
from mscr.repositories.owned_row_repository import OwnedRowRepository
from mscr.services.audit_event_service import AuditTrail, Parties
from mscr.services.refresh_token_service import RefreshTokenService

# No hash: no password verifies against it.
UNUSABLE_PASSWORD_HASH: Final = "!"  # noqa: S105  # as above


class AccountDeletionService(Generic[AccountType]):
    """Delete accounts, for the services that decide who may."""

    def __init__(
        self,
        user_repo: AccountRepository[AccountType],
        owned_rows: OwnedRowRepository,
        idempotency_keys: IdempotencyKeyRepository,
        sessions: RefreshTokenService,
        audit: AuditTrail,
    ) -> None:
        self._user_repo = user_repo
        self._owned_rows = owned_rows
        self._idempotency_keys = idempotency_keys
        self._sessions = sessions
        self._audit = audit

    async def delete(self, user: AccountType) -> None:
        """Delete the account and all rows with its `owner_id`, without a commit.

        Warning: this erases the kit's columns only. The calling service locks the account's row
        first, and erases the personal data in columns of its own.
        """
        user.email = user.email_key = f"{user.public_id}@deleted.invalid"
        user.password_hash = UNUSABLE_PASSWORD_HASH
        user.auth_version += 1
        await self._user_repo.soft_delete(user)
        await self._owned_rows.soft_delete(user.id)
        await self._idempotency_keys.delete_owned(user.id)
        await self._sessions.forget_clients(user.id)
        await self._audit.record(AuditAction.DELETE_ACCOUNT, Parties.owner(user.public_id))
