"""Delete an account: end its sessions, erase its personal data, delete what belongs to it."""

from typing import Generic

from mscr.models.audit_event import AuditAction
from mscr.models.personal_data import columns_of, erased_values
from mscr.repositories.account_repository import AccountRepository, AccountType
from mscr.repositories.owned_row_repository import OwnedRowRepository
from mscr.services.audit_event_service import AuditTrail, Parties


class AccountDeletionService(Generic[AccountType]):
    """Delete accounts, for the services that decide who may."""

    def __init__(
        self,
        user_repo: AccountRepository[AccountType],
        owned_rows: OwnedRowRepository,
        audit: AuditTrail,
    ) -> None:
        self._user_repo = user_repo
        self._owned_rows = owned_rows
        self._audit = audit

    async def delete(self, user: AccountType) -> None:
        """Erase the account and what belongs to it, without a commit.

        Set its personal columns to null, or to what replaces them, and soft-delete it. Delete the
        rows that belong to it, and erase the personal columns of others that refer to it
        (`AccountRows`). The calling service locks the account's row first.
        """
        for name, value in erased_values(columns_of(type(user)), user).items():
            setattr(user, name, value)
        user.auth_version += 1
        await self._user_repo.soft_delete(user)
        await self._owned_rows.delete(user.id)
        await self._audit.record(AuditAction.DELETE_ACCOUNT, Parties.owner(user.public_id))
