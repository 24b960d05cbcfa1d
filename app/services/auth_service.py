"""Registering, logging in and out."""

from datetime import datetime

import structlog

from app.core.client import Client
from app.core.exceptions import EmailTakenError
from app.core.rate_limit import AttemptLimiter
from app.core.security.password import PasswordService
from app.core.security.password_policy import PasswordPolicy
from app.core.security.principal import Principal
from app.models.user import User, email_key
from app.repositories.user_repository import UserRepository
from app.schemas.auth_schemas import LoginRequest, TokenResponse, UserRegister
from app.services.credential_service import CredentialService
from app.services.refresh_token_service import RefreshTokenService

log = structlog.get_logger(__name__)


class AuthService:
    def __init__(
        self,
        user_repo: UserRepository,
        credentials: CredentialService,
        sessions: RefreshTokenService,
        *,
        passwords: PasswordService,
        policy: PasswordPolicy,
        attempts: AttemptLimiter,
    ) -> None:
        self.user_repo = user_repo
        self._credentials = credentials
        self._sessions = sessions
        self._passwords = passwords
        self._policy = policy
        self._attempts = attempts

    async def register_user(self, data: UserRegister, client: Client) -> TokenResponse:
        """Create the account and its first session.

        Raises `EmailTakenError`, `ValidationFailedError` for the password, and what the limiter
        and the hashing pool raise.
        """
        self._policy.check(data.password, field="password")
        self._policy.check_context(
            data.password, field="password", email=data.email, full_name=data.full_name
        )
        account = email_key(data.email)
        await self._attempts.count(account, client.address)
        if await self.user_repo.find_by_email(data.email):
            raise EmailTakenError
        await self.user_repo.release()
        password_hash = await self._passwords.hash(data.password)
        # What was counted for this account is no failed login.
        await self._attempts.forgive(account, client.address)
        user = await self.user_repo.create_user(
            email=data.email, full_name=data.full_name, password_hash=password_hash
        )
        tokens = await self._sessions.start_family(user, client)
        await self.user_repo.commit()
        log.info("user_registered", user=user.public_id)
        return tokens

    async def login(self, data: LoginRequest, client: Client) -> TokenResponse:
        """Raises `InvalidCredentialsError`; see `CredentialService.authenticate`."""
        user = await self._credentials.authenticate(data.email, data.password, client)
        await self._rehash(user, data.password)
        tokens = await self._sessions.start_family(user, client)
        await self.user_repo.commit()
        log.info("login_succeeded", user=user.public_id)
        return tokens

    async def reauthenticate(self, principal: Principal, password: str, client: Client) -> None:
        """Make the caller's session fresh again. Raises `WrongPasswordError`."""
        await self._credentials.confirm(principal.user_id, password, client)
        await self._sessions.mark_authenticated(principal.claims.sid)
        await self.user_repo.commit()
        log.info("reauthenticated", user=principal.public_id)

    async def refresh(self, token: str, *, arrived_at: datetime, client: Client) -> TokenResponse:
        """Raises `InvalidRefreshTokenError`; see `RefreshTokenService.rotate`."""
        return await self._sessions.rotate(token, arrived_at=arrived_at, client=client)

    async def logout(self, token: str) -> None:
        await self._sessions.revoke(token)

    async def logout_all(self, user_id: int) -> None:
        """End every session of the user with one write."""
        await self.user_repo.end_all_sessions(user_id)
        await self.user_repo.commit()

    async def _rehash(self, user: User, password: str) -> None:
        if self._passwords.needs_rehash(user.password_hash):
            new = await self._passwords.hash(password)
            await self.user_repo.replace_password_hash(user.id, old=user.password_hash, new=new)
