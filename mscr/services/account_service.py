"""Operators' changes of accounts, without the password of the user."""

from collections.abc import Callable, Iterable
from typing import Generic

from mscr.core.exceptions import NotFoundError
from mscr.core.security.password import PasswordService
from mscr.core.security.password_policy import PasswordPolicy
from mscr.models.audit_event import AuditAction
from mscr.repositories.account_repository import AccountRepository, AccountType
from mscr.services.audit_event_service import AuditTrail, Parties


class AccountService(Generic[AccountType]):
    """Change any account on behalf of an operator.

    `context` returns the texts of an account that its password must not consist of.
    """

    def __init__(
        self,
        user_repo: AccountRepository[AccountType],
        audit: AuditTrail,
        *,
        passwords: PasswordService,
        policy: PasswordPolicy,
        context: Callable[[AccountType], Iterable[str]],
    ) -> None:
        self.user_repo = user_repo
        self._audit = audit
        self._passwords = passwords
        self._policy = policy
        self._context = context

    async def replace_password(self, email: str, password: str) -> AccountType:
        """Set a new password and end all sessions of the account.

        Raises `NotFoundError`, and `ValidationFailedError` for the password.
        """
        self._policy.check(password, field="password")
        known = await self.user_repo.find_by_email(email)
        await self.user_repo.release()
        if known is not None:
            self._policy.check_context(password, field="password", context=self._context(known))
        password_hash = await self._passwords.hash(password)
        user = known and await self.user_repo.lock(id=known.id)
        if user is None:
            raise NotFoundError
        user.password_hash = password_hash
        user.auth_version += 1
        await self._audit.record(AuditAction.SET_PASSWORD, Parties(account=user.public_id))
        await self.user_repo.commit()
        return user
