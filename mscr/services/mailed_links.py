"""Issue links, and mail them."""

from dataclasses import dataclass
from datetime import timedelta

from mscr.core.security.mailed_token import new_mailed_token
from mscr.jobs.outbox import Outbox
from mscr.mail.message import Mail
from mscr.mail.templates import MailTemplates
from mscr.models.account import AccountMixin
from mscr.models.base import utcnow
from mscr.models.mailed_link import LinkPurpose
from mscr.repositories.mailed_link_repository import MailedLinkRepository


@dataclass(frozen=True, slots=True)
class MailedLinks:
    """The links of one use case, and their mails. The calling service commits."""

    repo: MailedLinkRepository
    mails: MailTemplates
    outbox: Outbox
    lifetime: timedelta

    @property
    def patience(self) -> timedelta:
        """The time until the last attempt to deliver a mail: its link must be valid for longer."""
        return self.lifetime / 2

    async def issue(self, user: AccountMixin, purpose: LinkPurpose, *, email: str) -> str:
        """Add a link of a locked account for an address, and return its token."""
        issued = new_mailed_token()
        await self.repo.replace(
            user, purpose, digest=issued.digest, email=email, expires_at=utcnow() + self.lifetime
        )
        return issued.token

    async def add_mail(self, mail: Mail) -> None:
        await self.outbox.add_mail(mail, patience=self.patience)
