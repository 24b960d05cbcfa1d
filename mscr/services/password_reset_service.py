"""Reset a forgotten password by a mailed link, without revealing who has an account."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final, Generic

from pydantic import AwareDatetime, BaseModel, Field

from mscr.core.client import Client, Origin
from mscr.core.exceptions import InvalidLinkError
from mscr.core.security.mailed_token import digest_of, new_mailed_token
from mscr.jobs.job import Job, JobRefusedError, Work
from mscr.mail.message import Mail
from mscr.models.account import AccountMixin
from mscr.models.audit_event import AuditAction
from mscr.models.base import utcnow
from mscr.models.mailed_link import LinkPurpose
from mscr.repositories.account_repository import AccountRepository, AccountType
from mscr.repositories.audit_event_repository import AuditEventRepository
from mscr.repositories.mailed_link_repository import MailedLinkRepository
from mscr.services.account_notices import AccountNotices
from mscr.services.audit_event_service import NOBODY, AuditTrail, Parties
from mscr.services.credential_service import CredentialService, mail_counter
from mscr.services.mailed_links import MailedLinks


class PasswordResetService(Generic[AccountType]):
    """Mail a link to the address of an account, and set a new password by it.

    `context` returns the texts of an account that its password must not consist of.
    """

    def __init__(
        self,
        user_repo: AccountRepository[AccountType],
        credentials: CredentialService[AccountType],
        audit: AuditTrail,
        *,
        links: MailedLinks,
        notices: AccountNotices,
        context: Callable[[AccountType], Iterable[str]],
    ) -> None:
        self.user_repo = user_repo
        self._credentials = credentials
        self._audit = audit
        self._links = links
        self._notices = notices
        self._context = context

    async def request(self, email: str, client: Client) -> None:
        """Mail a link to the account of the address, if it has an active one.

        The account is looked up by a job, after the response: a response before it cannot depend on
        the account, nor can its time (account enumeration, ASVS v6.3.8). Raises what the limiter
        raises.
        """
        await self._credentials.count_attempt(
            AuditAction.REQUEST_PASSWORD_RESET, mail_counter(email), client
        )
        issued = new_mailed_token()
        minutes = int(self._links.lifetime.total_seconds() // 60)
        mail = self._links.mails.render(
            "reset_password", email, token=issued.token, minutes=minutes
        )
        request = ResetRequest(
            email=email,
            mail=mail,
            digest=issued.digest.hex(),
            expires_at=utcnow() + self._links.lifetime,
            origin=self._audit.origin,
        )
        await self._links.outbox.add(ISSUE_RESET_LINK, request, patience=self._links.patience)
        await self.user_repo.commit()

    async def reset(self, token: str, password: str, client: Client) -> None:
        """Set the password and end all sessions, without logging in.

        It voids a password that somebody else had set for the address: only its mailbox counts. A
        refused password does not use the link. Raises `InvalidLinkError`, `ValidationFailedError`
        for the password, and what the limiter and the hashing pool raise.
        """
        await self._credentials.count_attempt_of_nobody(AuditAction.RESET_PASSWORD, client)
        self._credentials.check_new(password, field="password")
        digest = digest_of(token)
        owner = await self._links.repo.find_owner(digest, LinkPurpose.RESET_PASSWORD, now=utcnow())
        known = None if owner is None else await self.user_repo.get(owner)
        if known is None:
            await self._refuse(NOBODY)
            raise InvalidLinkError
        await self.user_repo.release()
        self._credentials.check_new(password, field="password", context=self._context(known))
        # The mailbox is proved: failed logins of its owner must not prevent the next login.
        await self._credentials.forgive(known.email, client)
        # Hashing takes longer than any query: hold no connection meanwhile.
        password_hash = await self._credentials.hash_new(password)
        user = await self._use(digest, known)
        if user is None:
            await self._refuse(Parties(account=known.public_id))
            raise InvalidLinkError
        user.password_hash = password_hash
        user.auth_version += 1
        user.email_verified_at = user.email_verified_at or utcnow()
        # Among them a change of address that somebody else has requested in a stolen session.
        await self._links.repo.void_all(user.id)
        await self._audit.record(AuditAction.RESET_PASSWORD, Parties.owner(user.public_id))
        await self._notices.password_changed(user.email, client)
        await self.user_repo.commit()

    async def _use(self, digest: bytes, known: AccountType) -> AccountType | None:
        """Lock the account and use the link. Return None if either is not valid any more."""
        user = await self.user_repo.lock(id=known.id, is_active=True)
        if user is None:
            return None
        link = await self._links.repo.use(
            digest, LinkPurpose.RESET_PASSWORD, user_id=user.id, now=utcnow()
        )
        if link is None or link.email != user.email:
            # A link proves the mailbox that it was sent to, and no other.
            return None
        # An owner who did not ask for the link has changed the password, or logged out everywhere.
        return user if link.auth_version == user.auth_version else None

    async def _refuse(self, parties: Parties) -> None:
        await self._audit.refuse(AuditAction.RESET_PASSWORD, InvalidLinkError.code, parties)


class ResetRequest(BaseModel):
    """A request for a link. Nothing in it depends on the account."""

    email: str = Field(repr=False)
    mail: Mail = Field(repr=False)
    digest: str
    expires_at: AwareDatetime
    origin: Origin


async def _issue(data: ResetRequest, work: Work) -> None:
    if data.expires_at <= utcnow():
        # An operator has retried it: the link would be of no use.
        raise JobRefusedError
    user_repo = AccountRepository[AccountMixin](work.tables.user, work.session)
    audit = AuditTrail(
        AuditEventRepository(work.session, work.tables),
        data.origin,
        requests=work.collaborators.requests,
    )
    action = AuditAction.REQUEST_PASSWORD_RESET
    known = await user_repo.find_by_email(data.email)
    user = known and await user_repo.lock(id=known.id, is_active=True)
    if user is None:
        reason = "inactive" if known else "unknown_account"
        parties = Parties(account=known.public_id if known else None)
        await audit.record_refusal(action, reason, parties)
        return
    links = MailedLinkRepository(work.session, work.tables)
    if await links.has_later(user, LinkPurpose.RESET_PASSWORD, data.expires_at):
        # A late attempt must not void the link of a newer request.
        return
    await links.replace(
        user,
        LinkPurpose.RESET_PASSWORD,
        digest=bytes.fromhex(data.digest),
        email=user.email,
        expires_at=data.expires_at,
    )
    # Nobody has proved anything yet: there is no actor.
    await audit.record(action, Parties(account=user.public_id))
    # The account's own spelling of the address: the one that was typed may be another mailbox.
    mail = replace(data.mail, recipient=user.email)
    await work.outbox.add_mail(mail, patience=(data.expires_at - utcnow()) / 2)


ISSUE_RESET_LINK: Final = Job("mscr.issue_reset_link", ResetRequest, _issue, is_urgent=True)
