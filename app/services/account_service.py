"""Operators' use cases from the command line: no password of the account is needed.

The use cases of users themselves, deletion included, are in `user_service.py`.
"""

from app.core.exceptions import LastAdministratorError, NotFoundError
from app.models.user import User, UserRole
from app.schemas.auth_schemas import UserRegister
from app.services.auth_service import password_context
from mscr.models.audit_event import AuditAction
from mscr.services.account_service import AccountService as KitAccountService
from mscr.services.audit_event_service import Parties


class AccountService(KitAccountService[User]):
    async def create(self, data: UserRegister, *, role: UserRole) -> User:
        """Raises `EmailTakenError`, and `ValidationFailedError` for the password."""
        self._policy.check(data.password, field="password")
        self._policy.check_context(data.password, field="password", context=password_context(data))
        password_hash = await self._passwords.hash(data.password)
        user = await self.user_repo.create_user(
            **data.model_dump(exclude={"password"}), password_hash=password_hash, role=role
        )
        await self._audit.record(AuditAction.CREATE_USER, Parties(account=user.public_id))
        await self.user_repo.commit()
        return user

    async def change_role(self, email: str, role: UserRole) -> User:
        """Change the role. It takes effect on the account's next request, in existing sessions too.

        Raises `NotFoundError` and `LastAdministratorError`.
        """
        administrators = await self.user_repo.lock_active(role=UserRole.ADMIN)
        known = await self.user_repo.find_by_email(email)
        user = known and await self.user_repo.lock(id=known.id)
        if user is None:
            raise NotFoundError
        if role is not UserRole.ADMIN and list(administrators) == [user.id]:
            raise LastAdministratorError
        if user.role is not role:
            user.role = role
            await self._audit.record(AuditAction.CHANGE_ROLE, Parties(account=user.public_id))
        await self.user_repo.commit()
        return user
