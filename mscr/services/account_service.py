"""Operators' changes of accounts, without the password of the user."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic

from mscr.core.exceptions import LastAdministratorError, NotFoundError
from mscr.core.security.password import PasswordService
from mscr.core.security.password_policy import PasswordPolicy
from mscr.models.audit_event import AuditAction
from mscr.repositories.account_repository import AccountRepository, AccountType
from mscr.services.audit_event_service import AuditTrail, Parties
from mscr.services.mail_registration_service import Registration


class AccountService(Generic[AccountType]):
    """Change any account on behalf of an operator.

    `context` returns the texts of an account, or of a registration, that its password must not
    consist of. `administrators` are the accounts whose columns have these values.
    """

    def __init__(
        self,
        user_repo: AccountRepository[AccountType],
        audit: AuditTrail,
        *,
        passwords: PasswordService,
        policy: PasswordPolicy,
        context: Callable[[Any], Iterable[str]],
        administrators: Mapping[str, Any],
    ) -> None:
        self.user_repo = user_repo
        self._audit = audit
        self._passwords = passwords
        self._policy = policy
        self._context = context
        self._administrators = administrators

    async def create(self, data: Registration, **columns: Any) -> AccountType:
        """Create an account with the fields of `data` and these columns.

        Raises `EmailTakenError`, errors of the repository's `unique_errors`, and
        `ValidationFailedError` for the password.
        """
        self._policy.check(data.password, field="password")
        self._policy.check_context(data.password, field="password", context=self._context(data))
        columns = {**data.model_dump(exclude={"password"}), **columns}
        password_hash = await self._passwords.hash(data.password)
        user = await self.user_repo.create_account(password_hash=password_hash, **columns)
        await self._audit.record(AuditAction.CREATE_USER, Parties(account=user.public_id))
        await self.user_repo.commit()
        return user

    async def change_role(self, email: str, **role: Any) -> AccountType:
        """Set the columns of the role. The account's next request has it, in any session.

        Raises `NotFoundError`, and `LastAdministratorError` if no administrator would remain.
        """
        administrators = await self.user_repo.lock_active(**self._administrators)
        known = await self.user_repo.find_by_email(email)
        user = known and await self.user_repo.lock(id=known.id)
        if user is None:
            raise NotFoundError
        stays = self._administrators.items() <= role.items()
        if list(administrators) == [user.id] and not stays:
            raise LastAdministratorError
        if any(getattr(user, name) != value for name, value in role.items()):
            await self.user_repo.update(user, **role)
            await self._audit.record(AuditAction.CHANGE_ROLE, Parties(account=user.public_id))
        await self.user_repo.commit()
        return user

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
