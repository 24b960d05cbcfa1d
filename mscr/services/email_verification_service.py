"""Prove the address of an account by a mailed link, or change it to a proved one."""

from typing import Generic

from mscr.core.client import Client
from mscr.core.exceptions import (
    EmailTakenError,
    InvalidLinkError,
    UnauthorizedError,
)
from mscr.core.security.mailed_token import digest_of
from mscr.core.security.principal import Principal
from mscr.mail.message import Mail
from mscr.models.audit_event import Action, AuditAction
from mscr.models.base import utcnow
from mscr.models.mailed_link import LinkPurpose, MailedLinkMixin
from mscr.repositories.account_repository import AccountRepository, AccountType
from mscr.repositories.refresh_token_repository import RefreshTokenRepository
from mscr.services.account_notices import AccountNotices
from mscr.services.audit_event_service import AuditTrail, Parties
from mscr.services.credential_service import CredentialService, mail_counter
from mscr.services.mailed_links import MailedLinks


class EmailVerificationService(Generic[AccountType]):
    """Prove addresses. A link counts only together with a login of the account that asked for it.

    Otherwise a person who opens a link that somebody else has requested would prove her address for
    that account, and it would look like hers.
    """

    def __init__(
        self,
        user_repo: AccountRepository[AccountType],
        session_repo: RefreshTokenRepository,
        credentials: CredentialService[AccountType],
        audit: AuditTrail,
        *,
        links: MailedLinks,
        notices: AccountNotices,
    ) -> None:
        self.user_repo = user_repo
        self.session_repo = session_repo
        self._credentials = credentials
        self._audit = audit
        self._links = links
        self._notices = notices

    async def send_link(self, user: AccountType) -> None:
        """Mail a link to the address of the account, without a commit.

        The calling service has locked the account's row, or inserted it.
        """
        token = await self._issue(user, user.email)
        await self._links.add_mail(self._verification(user.email, token))

    async def request(self, principal: Principal, client: Client) -> None:
        """Mail a link to the caller's address, unless it is verified.

        Raises what the limiter raises.
        """
        action = AuditAction.REQUEST_EMAIL_VERIFICATION
        user = await self._count_and_lock(action, principal.account.email, principal, client)
        if user.email_verified_at is None:
            await self.send_link(user)
            await self._audit.record(action, _parties(principal))
        await self.user_repo.commit()

    async def request_change(self, email: str, principal: Principal, client: Client) -> None:
        """Mail a link to a new address of the caller. It changes the address once it is opened.

        The owner of an address that has an account gets a notice instead. Both take the same
        statements, and nothing that is returned or raised differs (account enumeration). Raises
        what the limiter raises.
        """
        action = AuditAction.REQUEST_EMAIL_CHANGE
        user = await self._count_and_lock(action, email, principal, client)
        other = await self.user_repo.find_by_email(email)
        # A taken address gets a link too, which nobody has: against a timing side channel.
        token = await self._issue(user, email)
        # Both are rendered, for the same reason.
        mail = self._verification(email, token)
        notice = self._links.mails.render("registration_taken", other.email if other else email)
        if other is None or other.id == user.id:
            await self._audit.record(action, _parties(principal))
        else:
            mail = notice
            await self._audit.record_refusal(action, EmailTakenError.code, _parties(principal))
        await self._links.add_mail(mail)
        await self.user_repo.commit()

    async def confirm(self, token: str, principal: Principal, client: Client) -> None:
        """Prove the caller's address, or change it to the one that the link was mailed to.

        A change ends the account's other sessions, and notifies the former address. Raises
        `InvalidLinkError`, and `EmailTakenError` for an address that another account has got
        meanwhile, which does not use the link.
        """
        user = await self.user_repo.lock(id=principal.user_id)
        if user is None:
            raise UnauthorizedError
        link = await self._links.repo.use(
            digest_of(token), LinkPurpose.VERIFY_EMAIL, user_id=user.id, now=utcnow()
        )
        if link is None:
            await self._refuse(AuditAction.VERIFY_EMAIL, InvalidLinkError.code, principal)
            raise InvalidLinkError
        if link.email != user.email:
            former = user.email
            await self._change(user, link, principal)
            await self._notices.email_changed(former, client)
        elif user.email_verified_at is None:
            user.email_verified_at = utcnow()
            await self._audit.record(AuditAction.VERIFY_EMAIL, _parties(principal))
        await self.user_repo.commit()

    async def _change(self, user: AccountType, link: MailedLinkMixin, principal: Principal) -> None:
        # All sessions were ended since the request: by a new password, for instance. Nobody who
        # asked for this change before may get the owner of the account to confirm it.
        if link.auth_version != user.auth_version:
            await self._refuse(AuditAction.CHANGE_EMAIL, InvalidLinkError.code, principal)
            raise InvalidLinkError
        try:
            await self.user_repo.change_email(user, link.email)
        except EmailTakenError as error:
            await self._refuse(AuditAction.CHANGE_EMAIL, error.code, principal)
            raise
        user.email_verified_at = utcnow()
        # Links to the old address prove nothing about the account any more.
        await self._links.repo.void_all(user.id)
        await self.session_repo.end_other_sessions(user.id, keep=principal.session_id, now=utcnow())
        await self._audit.record(AuditAction.CHANGE_EMAIL, _parties(principal))

    async def _refuse(self, action: Action, reason: str, principal: Principal) -> None:
        # A logged-in client can repeat it endlessly.
        await self._audit.refuse(action, reason, _parties(principal), once_for=principal.public_id)

    async def _count_and_lock(
        self, action: Action, email: str, principal: Principal, client: Client
    ) -> AccountType:
        """Count a mail to the address, and lock the caller's account."""
        await self._credentials.count_attempt(
            action, mail_counter(email), client, _parties(principal)
        )
        user = await self.user_repo.lock(id=principal.user_id)
        if user is None:
            raise UnauthorizedError
        return user

    def _verification(self, recipient: str, token: str) -> Mail:
        hours = int(self._links.lifetime.total_seconds() // 3600)
        return self._links.mails.render("verify_email", recipient, token=token, hours=hours)

    async def _issue(self, user: AccountType, email: str) -> str:
        return await self._links.issue(user, LinkPurpose.VERIFY_EMAIL, email=email)


def _parties(principal: Principal) -> Parties:
    return Parties.owner(principal.public_id, principal.session_id)
