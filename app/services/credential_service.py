"""Passwords, proved and new.

Attempts are counted before they are verified, and nothing is hashed while a connection waits.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.core.client import Client
from app.core.exceptions import (
    InvalidCredentialsError,
    TooManyRequestsError,
    UnauthorizedError,
    WrongPasswordError,
)
from app.core.rate_limit import AttemptLimiter
from app.core.security.password import PasswordService
from app.core.security.password_policy import PasswordPolicy
from app.models.audit_event import AuditAction
from app.models.email_key import email_key
from app.models.user import User
from app.repositories.user_repository import UserRepository
from app.services.audit_event_service import NOBODY, AuditTrail, Parties


class CredentialService:
    """Used by other services. The users that it returns are detached: lock them before writing.

    What hashes raises `ServiceUnavailableError` when too many wait for it already; what counts
    attempts raises it when they cannot be counted, and `TooManyRequestsError`.
    """

    def __init__(
        self,
        user_repo: UserRepository,
        audit: AuditTrail,
        *,
        passwords: PasswordService,
        policy: PasswordPolicy,
        attempts: AttemptLimiter,
    ) -> None:
        self._user_repo = user_repo
        self._audit = audit
        self._passwords = passwords
        self._policy = policy
        self._attempts = attempts

    async def authenticate(self, email: str, password: str, client: Client) -> User:
        """Raises `InvalidCredentialsError`, the same and as late for every reason."""
        account = email_key(email)
        # Before verifying: parallel guesses are counted, not only those that have failed already.
        await self.count_attempt(AuditAction.LOGIN, account, client)
        user = await self._user_repo.find_by_email(email)
        # Hashing takes longer than any query: it must not keep a connection from others.
        await self._user_repo.release()
        matches = await self._passwords.verify(password, user.password_hash if user else None)
        if user is None or not matches or not user.is_active:
            await self._audit.refuse(
                AuditAction.LOGIN,
                _reason(user, matches=matches),
                Parties(account=user.public_id if user else None),
            )
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
        owner = Parties.owner(user.public_id)
        account = email_key(user.email)
        await self.count_attempt(AuditAction.CONFIRM_PASSWORD, account, client, owner)
        if not await self._passwords.verify(password, user.password_hash):
            await self._audit.refuse(AuditAction.CONFIRM_PASSWORD, "wrong_password", owner)
            raise WrongPasswordError
        await self._attempts.forgive(account, client.address)
        return user

    def check_new(
        self, password: str, *, field: str, email: str = "", full_name: str | None = None
    ) -> None:
        """Raises `ValidationFailedError` for `field`. Once it is known whose it is, say so."""
        self._policy.check(password, field=field)
        self._policy.check_context(password, field=field, email=email, full_name=full_name)

    async def hash_new(self, password: str) -> str:
        return await self._passwords.hash(password)

    async def count_attempt(
        self, action: AuditAction, account: str, client: Client, parties: Parties = NOBODY
    ) -> None:
        """Raises `TooManyRequestsError`, which the audit log learns of."""
        async with self._audited(action, parties):
            await self._attempts.count(account, client.address)

    async def count_attempt_of_nobody(self, action: AuditAction, client: Client) -> None:
        """By the address alone: nobody says yet whose account it is about."""
        async with self._audited(action, NOBODY):
            await self._attempts.count_address(client.address)

    @asynccontextmanager
    async def _audited(self, action: AuditAction, parties: Parties) -> AsyncIterator[None]:
        try:
            yield
        except TooManyRequestsError as error:
            # By the counter, not by the account that was typed: it can be another each time.
            await self._audit.refuse(action, error.code, parties, once_for=error.counter)
            raise


def _reason(user: User | None, *, matches: bool) -> str:
    if user is None:
        return "unknown_account"
    return "inactive" if matches else "wrong_password"
