"""Notices to the owner of an account, by mail: each is added in the transaction of its cause."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from mscr.core.client import Client
from mscr.core.config import Settings
from mscr.core.device import Device, describe_address, describe_program
from mscr.core.notices import Notice
from mscr.jobs.outbox import Outbox
from mscr.mail.templates import MailTemplates
from mscr.models.account import AccountMixin
from mscr.models.base import utcnow
from mscr.repositories.refresh_token_repository import EarlierSession

# The first login of a new account is no surprise to its owner.
FIRST_LOGIN_WITHIN: Final = timedelta(days=1)
# Somebody who knows the password, or has registered another person's address, could otherwise
# flood the mailbox by logging in from ever new networks.
NEW_DEVICES_A_DAY: Final = 10
# So many sessions are searched for the device, the newest first.
SEARCHED_SESSIONS: Final = 100

# UUIDs of this version begin with the time in milliseconds (RFC 9562 §5.7).
TIMED_VERSION: Final = 7


class AccountNotices:
    """Add notices to the outbox. The calling service commits them together with their cause.

    The words are the templates that have the names of the notices.
    """

    def __init__(self, mails: MailTemplates, outbox: Outbox, *, settings: Settings) -> None:
        self._mails = mails
        self._outbox = outbox
        self._wanted = frozenset(settings.NOTICES) if settings.sends_mail else frozenset[Notice]()

    def wants(self, notice: Notice) -> bool:
        return notice in self._wanted

    async def login(
        self, user: AccountMixin, client: Client, earlier: Sequence[EarlierSession]
    ) -> None:
        """Notify the owner of a login from a new device. `earlier` is their other sessions."""
        if self.wants(Notice.NEW_DEVICE) and _is_surprising(user, client, earlier):
            await self._add(Notice.NEW_DEVICE, user.email, client)

    async def password_changed(self, recipient: str, client: Client) -> None:
        """Notify the owner that the account has another password, however it was set."""
        await self._add(Notice.PASSWORD_CHANGED, recipient, client)

    async def email_changed(self, former_address: str, client: Client) -> None:
        """Notify the former address of an account that it is not the account's any more."""
        await self._add(Notice.EMAIL_CHANGED, former_address, client)

    async def reuse_detected(self, recipient: str, client: Client) -> None:
        """Notify the owner that a session was ended, because its tokens may have been stolen."""
        await self._add(Notice.REUSE_DETECTED, recipient, client)

    async def _add(self, notice: Notice, recipient: str, client: Client) -> None:
        if not self.wants(notice):
            return
        # Nothing that a client can word may be in a genuine mail: it would be phishing.
        mail = self._mails.render(
            notice.value,
            recipient,
            program=describe_program(client.user_agent),
            address=describe_address(client.address),
            time=_in_words(utcnow()),
        )
        await self._outbox.add_mail(mail)


def _is_surprising(user: AccountMixin, client: Client, earlier: Sequence[EarlierSession]) -> bool:
    now = utcnow()
    if not earlier:
        return now - _created_at(user) > FIRST_LOGIN_WITHIN
    device = Device.of(client)
    if any(each.vouches and Device.of(each.client) == device for each in earlier):
        return False
    recent = {
        Device.of(each.client) for each in earlier if now - each.created_at < timedelta(days=1)
    }
    return len(recent) < NEW_DEVICES_A_DAY


def _created_at(user: AccountMixin) -> datetime:
    """Return the time in the account's public id, or the distant past if it has none.

    An application may have imported accounts, with ids of another version.
    """
    public_id = UUID(user.public_id)
    milliseconds = public_id.int >> 80 if public_id.version == TIMED_VERSION else 0
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _in_words(moment: datetime) -> str:
    return f"{moment:%d %B %Y, %H:%M} UTC"
