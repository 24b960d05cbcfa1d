"""Verify passwords, check new ones and hash them.

Attempts are counted before they are verified, and no connection is held while hashing.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Generic

from mscr.core.client import Client
from mscr.core.exceptions import (
    InvalidCredentialsError,
    TooManyRequestsError,
    UnauthorizedError,
    WrongPasswordError,
)
from mscr.core.rate_limit import AttemptLimiter
from mscr.core.security.password import PasswordService
from mscr.core.security.password_policy import PasswordPolicy
from mscr.models.account import AccountMixin
from mscr.models.audit_event import Action, AuditAction
from mscr.models.email_key import email_key
from mscr.repositories.account_repository import AccountRepository, AccountType
from mscr.services.audit_event_service import NOBODY, AuditTrail, Parties


def mail_counter(email: str) -> str:
    """Return the account's name for a limit of mails to an address.

    Failed logins do not count: their user must still get a mail. No body contains a NUL, so no
    address has the name of this counter.
    """
    return f"mail\0{email_key(email)}"


class CredentialService(Generic[AccountType]):
    """Verify and hash passwords, for other services.

    Warning: the returned users are detached; lock them before writing.

    Methods that hash raise `ServiceUnavailableError` when the queue of the hashing pool is full.
    Methods that count attempts raise it when they cannot be counted, and `TooManyRequestsError`.
    """

    def __init__(
        self,
        user_repo: AccountRepository[AccountType],
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

    async def authenticate(self, email: str, password: str, client: Client) -> AccountType:
        """Return the active user with this email and password.

        Raises `InvalidCredentialsError`, with the same response after the same time for every
        reason, so that nothing reveals which accounts exist (account enumeration).
        """
        account = email_key(email)
        # Count before verifying, so that parallel guesses count before any of them has failed.
        await self.count_attempt(AuditAction.LOGIN, account, client)
        user = await self._user_repo.find_by_email(email)
        # Hashing takes longer than any query: hold no connection meanwhile.
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

    async def confirm(self, user_id: int, password: str, client: Client) -> AccountType:
        """Verify the password of a logged-in user again. Raises `WrongPasswordError`."""
        user = await self._user_repo.get(user_id)
        if user is None:
            raise UnauthorizedError
        await self._user_repo.release()
        # Share the limit of failed logins, so that a stolen access token is no way round it.
        owner = Parties.owner(user.public_id)
        account = email_key(user.email)
        await self.count_attempt(AuditAction.CONFIRM_PASSWORD, account, client, owner)
        if not await self._passwords.verify(password, user.password_hash):
            await self._audit.refuse(AuditAction.CONFIRM_PASSWORD, "wrong_password", owner)
            raise WrongPasswordError
        await self._attempts.forgive(account, client.address)
        return user

    async def require_match(self, password: str, password_hash: str) -> None:
        """Verify the password of a registration. Raises `WrongPasswordError`."""
        if not await self._passwords.verify(password, password_hash):
            raise WrongPasswordError("The password is not that of the registration.")

    def check_new(self, password: str, *, field: str, context: Iterable[str] = ()) -> None:
        """Check a new password against the policy. Raises `ValidationFailedError` for `field`.

        `context` is the texts that it must not consist of, once the account is known.
        """
        self._policy.check(password, field=field)
        self._policy.check_context(password, field=field, context=context)

    async def hash_new(self, password: str) -> str:
        return await self._passwords.hash(password)

    async def rehash(self, user: AccountType, password: str) -> None:
        """Replace a hash made with other parameters. `password` has just been verified."""
        if await self._passwords.needs_rehash(password, user.password_hash):
            new = await self._passwords.hash(password)
            await self._user_repo.replace_password_hash(user.id, old=user.password_hash, new=new)

    async def forgive(self, email: str, client: Client) -> None:
        """Reset the counted attempts of a registration: they were no failed logins."""
        await self._attempts.forgive(email_key(email), client.address)

    async def count_attempt(
        self, action: Action, account: str, client: Client, parties: Parties = NOBODY
    ) -> None:
        """Count an attempt. Raises `TooManyRequestsError` after auditing it."""
        async with self._audited(action, parties):
            await self._attempts.count(account, client.address)

    async def count_attempt_of_nobody(self, action: Action, client: Client) -> None:
        """Count an attempt by address alone, while its account is still unknown."""
        async with self._audited(action, NOBODY):
            await self._attempts.count_address(client.address)

    @asynccontextmanager
    async def _audited(self, action: Action, parties: Parties) -> AsyncIterator[None]:
        try:
            yield
        except TooManyRequestsError as error:
            # Deduplicate by counter, not by the account typed, which can differ each time.
            await self._audit.refuse(action, error.code, parties, once_for=error.counter)
            raise


def _reason(user: AccountMixin | None, *, matches: bool) -> str:
    if user is None:
        return "unknown_account"
    return "inactive" if matches else "wrong_password"
