"""What operators do with accounts, who need no one's password for it."""

from app.core.exceptions import LastAdministratorError, NotFoundError
from app.core.security.password import PasswordService
from app.core.security.password_policy import PasswordPolicy
from app.models.audit_event import AuditAction
from app.models.user import User, UserRole
from app.repositories.user_repository import UserRepository
from app.schemas.auth_schemas import UserRegister
from app.services.audit_event_service import AuditTrail, Parties


class AccountService:
    def __init__(
        self,
        user_repo: UserRepository,
        audit: AuditTrail,
        *,
        passwords: PasswordService,
        policy: PasswordPolicy,
    ) -> None:
        self.user_repo = user_repo
        self._audit = audit
        self._passwords = passwords
        self._policy = policy

    async def create(self, data: UserRegister, *, role: UserRole) -> User:
        """Raises `EmailTakenError`, and `ValidationFailedError` for the password."""
        self._policy.check(data.password, field="password")
        self._policy.check_context(
            data.password, field="password", email=data.email, full_name=data.full_name
        )
        password_hash = await self._passwords.hash(data.password)
        user = await self.user_repo.create_user(
            email=data.email, full_name=data.full_name, password_hash=password_hash, role=role
        )
        await self._audit.record(AuditAction.CREATE_USER, Parties(account=user.public_id))
        await self.user_repo.commit()
        return user

    async def change_role(self, email: str, role: UserRole) -> User:
        """It acts on the next request of the account, in the sessions that it has.

        Raises `NotFoundError` and `LastAdministratorError`.
        """
        administrators = await self.user_repo.lock_active_admins()
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

    async def replace_password(self, email: str, password: str) -> User:
        """Set a new password and end all sessions of the account.

        Raises `NotFoundError`, and `ValidationFailedError` for the password.
        """
        self._policy.check(password, field="password")
        known = await self.user_repo.find_by_email(email)
        await self.user_repo.release()
        if known is not None:
            self._policy.check_context(
                password, field="password", email=known.email, full_name=known.full_name
            )
        password_hash = await self._passwords.hash(password)
        user = known and await self.user_repo.lock(id=known.id)
        if user is None:
            raise NotFoundError
        user.password_hash = password_hash
        user.auth_version += 1
        await self._audit.record(AuditAction.SET_PASSWORD, Parties(account=user.public_id))
        await self.user_repo.commit()
        return user
