"""The use cases of logins: register, start, reauthenticate, refresh and end sessions."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Generic

from mscr.core.client import Client
from mscr.core.exceptions import (
    ConflictError,
    EmailTakenError,
    UnauthorizedError,
    ValidationFailedError,
)
from mscr.core.security.password import normalize
from mscr.core.security.principal import Principal
from mscr.core.security.refresh_token import IssuedTokens
from mscr.models.audit_event import AuditAction
from mscr.models.email_key import email_key
from mscr.repositories.account_repository import AccountRepository, AccountType
from mscr.schemas.auth_schemas import ChangePasswordRequest, LoginRequest
from mscr.services.account_notices import AccountNotices
from mscr.services.audit_event_service import NOBODY, AuditTrail, Parties
from mscr.services.credential_service import CredentialService
from mscr.services.email_verification_service import EmailVerificationService
from mscr.services.mail_registration_service import Registration
from mscr.services.refresh_token_service import RefreshTokenService


class LoginService(Generic[AccountType]):
    """Register, log in and out, prove and change the password, and refresh tokens.

    `context` returns the texts of an account that its password must not consist of.
    """

    def __init__(
        self,
        user_repo: AccountRepository[AccountType],
        credentials: CredentialService[AccountType],
        sessions: RefreshTokenService,
        audit: AuditTrail,
        *,
        context: Callable[[AccountType], Iterable[str]],
        notices: AccountNotices | None = None,
    ) -> None:
        self.user_repo = user_repo
        self._credentials = credentials
        self._sessions = sessions
        self._audit = audit
        self._context = context
        self._notices = notices

    async def register(
        self,
        data: Registration,
        client: Client,
        *,
        context: Iterable[str],
        verification: EmailVerificationService[AccountType] | None = None,
    ) -> IssuedTokens:
        """Create an account and its first session, and mail a link by `verification`.

        Fields of `data` other than the password become columns of the user, by name. `context` is
        the texts that the password must not consist of. Raises `EmailTakenError`, errors of the
        repository's `unique_errors`, `ValidationFailedError` for the password, and what the limiter
        and the hashing pool raise.
        """
        self._credentials.check_new(data.password, field="password", context=context)
        account = email_key(data.email)
        await self._credentials.count_attempt(AuditAction.REGISTER, account, client)
        try:
            user = await self._create(data, client)
        except ConflictError as error:
            await self._audit.refuse(AuditAction.REGISTER, error.code, NOBODY)
            raise
        tokens = await self._sessions.start_family(user, client, AuditAction.REGISTER)
        if verification is not None:
            await verification.send_link(user)
        await self.user_repo.commit()
        return tokens

    async def _create(self, data: Registration, client: Client) -> AccountType:
        if await self.user_repo.find_by_email(data.email):
            raise EmailTakenError
        profile = data.model_dump(exclude={"password"})
        await self.user_repo.require_free(profile)
        # Hashing takes longer than any query: hold no connection meanwhile.
        await self.user_repo.release()
        password_hash = await self._credentials.hash_new(data.password)
        await self._credentials.forgive(data.email, client)
        return await self.user_repo.create_account(**profile, password_hash=password_hash)

    async def login(self, data: LoginRequest, client: Client) -> IssuedTokens:
        """Start a session. Raises `InvalidCredentialsError`, like `authenticate`."""
        user = await self._credentials.authenticate(data.email, data.password, client)
        await self._credentials.rehash(user, data.password)
        tokens = await self._sessions.start_family(user, client, AuditAction.LOGIN)
        await self.user_repo.commit()
        return tokens

    async def reauthenticate(self, principal: Principal, password: str, client: Client) -> None:
        """Record a fresh password check of the caller's session. Raises `WrongPasswordError`."""
        await self._credentials.confirm(principal.user_id, password, client)
        await self._sessions.mark_authenticated(principal.session_id)
        caller = Parties.owner(principal.public_id, principal.session_id)
        await self._audit.record(AuditAction.REAUTHENTICATE, caller)
        await self.user_repo.commit()

    async def change_password(
        self, user_id: int, data: ChangePasswordRequest, client: Client
    ) -> IssuedTokens:
        """Change the password, end every session, and return the tokens of a new one.

        Raises `WrongPasswordError`, `TooManyRequestsError`, and `ValidationFailedError` for the
        new password.
        """
        self._credentials.check_new(data.new_password, field="new_password")
        known = await self._credentials.confirm(user_id, data.current_password, client)
        self._credentials.check_new(
            data.new_password, field="new_password", context=self._context(known)
        )
        if normalize(data.new_password) == normalize(data.current_password):
            raise ValidationFailedError(
                "The new password must differ from the current one.",
                loc=("body", "new_password"),
                error_type="password_unchanged",
            )
        new_hash = await self._credentials.hash_new(data.new_password)
        # Optimistic lock: refuse the second of two concurrent changes, which proved a password that
        # the first one has replaced.
        user = await self.user_repo.lock(id=known.id, auth_version=known.auth_version)
        if user is None:
            raise UnauthorizedError
        user.password_hash = new_hash
        user.auth_version += 1
        tokens = await self._sessions.start_family(user, client, AuditAction.CHANGE_PASSWORD)
        if self._notices is not None:
            await self._notices.password_changed(user.email, client)
        await self.user_repo.commit()
        return tokens

    async def refresh(self, token: str, *, arrived_at: datetime, client: Client) -> IssuedTokens:
        """Rotate the token. Raises `InvalidRefreshTokenError`; see `RefreshTokenService.rotate`."""
        return await self._sessions.rotate(token, arrived_at=arrived_at, client=client)

    async def logout(self, token: str, client: Client) -> None:
        """End the token's session; see `RefreshTokenService.revoke`."""
        await self._sessions.revoke(token, client)

    async def logout_all(self, principal: Principal) -> None:
        """End every session of the caller with one write."""
        await self.user_repo.end_all_sessions(principal.user_id)
        caller = Parties.owner(principal.public_id, principal.session_id)
        await self._audit.record(AuditAction.LOGOUT_ALL, caller)
        await self.user_repo.commit()
