"""Registration by mail, which does not reveal who has an account (ASVS v6.3.8)."""

from collections.abc import Iterable
from typing import Any, Generic, Protocol

from uuid_utils.compat import uuid7

from mscr.core.client import Client
from mscr.core.exceptions import (
    ConflictError,
    EmailTakenError,
    InvalidRegistrationTokenError,
    WrongPasswordError,
)
from mscr.core.security.registration_token import PendingRegistration, RegistrationTokenCodec
from mscr.jobs.outbox import Outbox
from mscr.mail.message import Mail
from mscr.mail.templates import MailTemplates
from mscr.models.audit_event import AuditAction
from mscr.models.base import utcnow
from mscr.models.email_key import email_key
from mscr.repositories.account_repository import AccountRepository, AccountType
from mscr.services.audit_event_service import NOBODY, AuditTrail, Parties
from mscr.services.credential_service import CredentialService


class Registration(Protocol):
    """The required fields of a registration. All others become columns of the user, by name."""

    email: str
    password: str

    def model_dump(self, *, exclude: set[str]) -> dict[str, Any]: ...


class MailRegistrationService(Generic[AccountType]):
    """Register in two steps: mail a link, then create the account from it."""

    def __init__(
        self,
        user_repo: AccountRepository[AccountType],
        credentials: CredentialService[AccountType],
        audit: AuditTrail,
        *,
        tokens: RegistrationTokenCodec,
        pending: type[PendingRegistration],
        mails: MailTemplates,
        outbox: Outbox,
    ) -> None:
        self.user_repo = user_repo
        self._credentials = credentials
        self._audit = audit
        self._tokens = tokens
        self._pending = pending
        self._mails = mails
        self._outbox = outbox

    async def request(self, data: Registration, client: Client, *, context: Iterable[str]) -> None:
        """Mail a link to a free address, and a notice to a taken one.

        Both take the same time, and nothing that is returned or raised differs, against account
        enumeration. `context` is the texts that the password must not consist of. Raises
        `ValidationFailedError` for the password, errors of the repository's `unique_errors`, which
        do not depend on the address, and what the limiter and the hashing pool raise.
        """
        self._credentials.check_new(data.password, field="password", context=context)
        # Never reset here: the count also limits how many mails can be sent to an address.
        await self._credentials.count_attempt(AuditAction.REGISTER, email_key(data.email), client)
        try:
            # Before the address is looked up: the response must not depend on it.
            await self.user_repo.require_free(data.model_dump(exclude={"email", "password"}))
        except ConflictError as error:
            await self._audit.refuse(AuditAction.REGISTER, error.code, NOBODY)
            raise
        owner = await self.user_repo.find_by_email(data.email)
        await self.user_repo.release()
        token = await self._issue(data)
        # Use the account's own spelling of the address: another may be another mailbox.
        link, notice = self._render(data.email if owner is None else owner.email, token)
        if owner is None:
            mail = link
            await self._audit.record(AuditAction.REQUEST_REGISTRATION, NOBODY)
        else:
            mail = notice
            await self._audit.record_refusal(AuditAction.REGISTER, EmailTakenError.code, NOBODY)
        # The last attempt is at the end of the patience: the link must still be valid then, and
        # for long enough to be opened.
        await self._outbox.add_mail(mail, patience=self._tokens.lifetime / 2)
        await self.user_repo.commit()

    async def confirm(self, token: str, password: str, client: Client) -> AccountType:
        """Create the account of a mailed token, once, without logging in.

        `password` must be that of the registration. The link proves control of the mailbox; the
        password proves that its owner registered. Otherwise somebody who registers the address of a
        victim could log in after she has opened the link (account pre-hijacking).

        Raises `InvalidRegistrationTokenError`, `WrongPasswordError`, errors of the repository's
        `unique_errors`, and `EmailTakenError`, which reveals the account only to somebody who can
        read mail to its address.
        """
        await self._credentials.count_attempt_of_nobody(AuditAction.REGISTER, client)
        try:
            registration = self._tokens.read(token, self._pending)
            # First: a used link must not be a way round the limit of guesses at the account.
            await self._require_unused(registration)
            # Hashing takes longer than any query: hold no connection meanwhile.
            await self.user_repo.release()
            await self._credentials.require_match(password, registration.password_hash)
            await self._credentials.forgive(registration.email, client)
            user = await self._create(registration)
        except (ConflictError, InvalidRegistrationTokenError, WrongPasswordError) as error:
            await self._audit.refuse(AuditAction.REGISTER, error.code, NOBODY)
            raise
        await self._audit.record(AuditAction.REGISTER, Parties.owner(user.public_id))
        await self.user_repo.commit()
        return user

    def _render(self, recipient: str, token: str) -> tuple[Mail, Mail]:
        """Return the mail with the link and the notice: both, against a timing side channel."""
        minutes = int(self._tokens.lifetime.total_seconds() // 60)
        return (
            self._mails.render("confirm_registration", recipient, token=token, minutes=minutes),
            self._mails.render("registration_taken", recipient),
        )

    async def _issue(self, data: Registration) -> str:
        """Return a token. Taken addresses get one too, against a timing side channel."""
        registration = self._pending(
            public_id=str(uuid7()),
            email=data.email,
            password_hash=await self._credentials.hash_new(data.password),
            **data.model_dump(exclude={"email", "password"}),
        )
        return self._tokens.issue(registration)

    async def _require_unused(self, registration: PendingRegistration) -> None:
        earlier = await self.user_repo.get_by_public_id(
            registration.public_id, include_deleted=True
        )
        if earlier is not None and earlier.is_deleted:
            # Otherwise an old mail would bring back an account that its user has deleted.
            raise InvalidRegistrationTokenError
        if await self.user_repo.find_by_email(registration.email) is not None:
            raise EmailTakenError

    async def _create(self, registration: PendingRegistration) -> AccountType:
        # The link has proved the mailbox.
        return await self.user_repo.create_account(
            **registration.model_dump(), email_verified_at=utcnow()
        )
