"""Registering, logging in and out."""

from datetime import datetime

from app.core.client import Client
from app.core.exceptions import EmailTakenError
from app.core.rate_limit import AttemptLimiter
from app.core.security.password import PasswordService
from app.core.security.principal import Principal
from app.models.audit_event import AuditAction
from app.models.email_key import email_key
from app.models.user import User
from app.repositories.user_repository import UserRepository
from app.schemas.auth_schemas import LoginRequest, UserRegister
from app.services.audit_event_service import NOBODY, AuditTrail, Parties
from app.services.credential_service import CredentialService
from app.services.refresh_token_service import IssuedTokens, RefreshTokenService


class AuthService:
    def __init__(
        self,
        user_repo: UserRepository,
        credentials: CredentialService,
        sessions: RefreshTokenService,
        audit: AuditTrail,
        *,
        passwords: PasswordService,
        attempts: AttemptLimiter,
    ) -> None:
        self.user_repo = user_repo
        self._credentials = credentials
        self._sessions = sessions
        self._audit = audit
        self._passwords = passwords
        self._attempts = attempts

    async def register_user(self, data: UserRegister, client: Client) -> IssuedTokens:
        """Create the account and its first session.

        Raises `EmailTakenError`, `ValidationFailedError` for the password, and what the limiter
        and the hashing pool raise.
        """
        self._credentials.check_new(
            data.password, field="password", email=data.email, full_name=data.full_name
        )
        account = email_key(data.email)
        await self._credentials.count_attempt(AuditAction.REGISTER, account, client)
        try:
            user = await self._create_user(data, client)
        except EmailTakenError as error:
            await self._audit.refuse(AuditAction.REGISTER, error.code, NOBODY)
            raise
        tokens = await self._sessions.start_family(user, client, AuditAction.REGISTER)
        await self.user_repo.commit()
        return tokens

    async def login(self, data: LoginRequest, client: Client) -> IssuedTokens:
        """Raises `InvalidCredentialsError`; see `CredentialService.authenticate`."""
        user = await self._credentials.authenticate(data.email, data.password, client)
        await self._rehash(user, data.password)
        tokens = await self._sessions.start_family(user, client, AuditAction.LOGIN)
        await self.user_repo.commit()
        return tokens

    async def reauthenticate(self, principal: Principal, password: str, client: Client) -> None:
        """Make the caller's session fresh again. Raises `WrongPasswordError`."""
        await self._credentials.confirm(principal.user_id, password, client)
        await self._sessions.mark_authenticated(principal.session_id)
        caller = Parties.owner(principal.public_id, principal.session_id)
        await self._audit.record(AuditAction.REAUTHENTICATE, caller)
        await self.user_repo.commit()

    async def refresh(self, token: str, *, arrived_at: datetime, client: Client) -> IssuedTokens:
        """Raises `InvalidRefreshTokenError`; see `RefreshTokenService.rotate`."""
        return await self._sessions.rotate(token, arrived_at=arrived_at, client=client)

    async def logout(self, token: str, client: Client) -> None:
        """See `RefreshTokenService.revoke`."""
        await self._sessions.revoke(token, client)

    async def logout_all(self, principal: Principal) -> None:
        """End every session of the caller with one write."""
        await self.user_repo.end_all_sessions(principal.user_id)
        caller = Parties.owner(principal.public_id, principal.session_id)
        await self._audit.record(AuditAction.LOGOUT_ALL, caller)
        await self.user_repo.commit()

    async def _create_user(self, data: UserRegister, client: Client) -> User:
        if await self.user_repo.find_by_email(data.email):
            raise EmailTakenError
        await self.user_repo.release()
        password_hash = await self._credentials.hash_new(data.password)
        # What was counted for this account is no failed login.
        await self._attempts.forgive(email_key(data.email), client.address)
        return await self.user_repo.create_user(
            email=data.email, full_name=data.full_name, password_hash=password_hash
        )

    async def _rehash(self, user: User, password: str) -> None:
        if await self._passwords.needs_rehash(password, user.password_hash):
            new = await self._passwords.hash(password)
            await self.user_repo.replace_password_hash(user.id, old=user.password_hash, new=new)
