"""Proving passwords: counted before they are verified, and verified while no connection waits."""

import structlog

from app.core.client import Client
from app.core.exceptions import InvalidCredentialsError, UnauthorizedError, WrongPasswordError
from app.core.rate_limit import AttemptLimiter
from app.core.security.password import PasswordService
from app.models.user import User, email_key
from app.repositories.user_repository import UserRepository

log = structlog.get_logger(__name__)


class CredentialService:
    """Used by other services. The users that it returns are detached: lock them before writing.

    Both methods raise `TooManyRequestsError`, and `ServiceUnavailableError` when too many
    passwords wait to be hashed or the attempts cannot be counted.
    """

    def __init__(
        self, user_repo: UserRepository, *, passwords: PasswordService, attempts: AttemptLimiter
    ) -> None:
        self._user_repo = user_repo
        self._passwords = passwords
        self._attempts = attempts

    async def authenticate(self, email: str, password: str, client: Client) -> User:
        """Raises `InvalidCredentialsError`, the same and as late for every reason."""
        account = email_key(email)
        # Before verifying: parallel guesses are counted, not only those that have failed already.
        await self._attempts.count(account, client.address)
        user = await self._user_repo.find_by_email(email)
        # Hashing takes longer than any query: it must not keep a connection from others.
        await self._user_repo.release()
        matches = await self._passwords.verify(password, user.password_hash if user else None)
        if user is None or not matches or not user.is_active:
            log.warning("login_failed", user=user.public_id if user else None)
            raise InvalidCredentialsError
        await self._attempts.forgive(account, client.address)
        return user

    async def confirm(self, user_id: int, password: str, client: Client) -> User:
        """Ask somebody who is logged in once more. Raises `WrongPasswordError`."""
        user = await self._user_repo.get(user_id)
        if user is None:
            raise UnauthorizedError
        await self._user_repo.release()
        # Together with the failed logins: a stolen access token is no way round their limit.
        await self._attempts.count(user.email_key, client.address)
        if not await self._passwords.verify(password, user.password_hash):
            log.warning("password_confirmation_failed", user=user.public_id)
            raise WrongPasswordError
        await self._attempts.forgive(user.email_key, client.address)
        return user
