"""The steps of recovered accounts, including the mailbox."""

import re
from typing import Any, Final

from httpx2 import AsyncClient, Response

from mscr.db.session import Database
from mscr.testing.api import Account, Api
from mscr.testing.mail_registration import PUBLIC_URL, until_delivered
from mscr.testing.mail_server import Delivery, MailServer

FORGOT: Final = "/api/v1/auth/forgot-password"
RESET: Final = "/api/v1/auth/reset-password"
REQUEST: Final = "/api/v1/auth/request-verification"
VERIFY: Final = "/api/v1/auth/verify-email"
CHANGE: Final = "/api/v1/users/me/email"
NEW_PASSWORD: Final = "battery staple horse"
_LINK: Final = re.compile(
    rf"^{re.escape(PUBLIC_URL)}/(reset-password|verify-email)#token=(\S+)$", re.MULTILINE
)
_FIXED: Final = {"X-Request-ID": "the-same-for-all"}


class RecoveryApi(Api):
    """Requests mails, and uses their links. A fixed request id makes responses comparable."""

    def __init__(self, client: AsyncClient, database: Database, server: MailServer) -> None:
        super().__init__(client, database)
        self.server = server

    async def forgot(self, email: str, headers: dict[str, str] | None = None) -> Response:
        return await self._post(FORGOT, {"email": email}, headers)

    async def reset(self, token: str, password: str = NEW_PASSWORD) -> Response:
        return await self._post(RESET, {"token": token, "password": password})

    async def request_verification(self, account: Account) -> Response:
        return await self.client.post(REQUEST, headers=_FIXED | account.headers)

    async def verify(self, token: str, account: Account | None = None) -> Response:
        return await self._post(VERIFY, {"token": token}, account.headers if account else None)

    async def change_email(self, account: Account, email: str) -> Response:
        return await self._post(CHANGE, {"email": email}, account.headers)

    async def reset_token(self, email: str) -> str:
        """Request a reset and return the token of the mailed link."""
        return await self._token(await self.forgot(email), email, "reset-password")

    async def verification_token(self, account: Account) -> str:
        """Request a verification and return the token of the mailed link."""
        asked = await self.request_verification(account)
        return await self._token(asked, account.email, "verify-email")

    async def change_token(self, account: Account, email: str) -> str:
        """Request a change of address and return the token of the link to the new one."""
        return await self._token(await self.change_email(account, email), email, "verify-email")

    async def _token(self, asked: Response, recipient: str, page: str) -> str:
        assert asked.status_code == 202, asked.text
        tokens: dict[str, str] = {}
        while page not in tokens:
            # Mails about earlier steps may be among them.
            tokens |= _LINK.findall((await self.server.next_to(recipient)).text)
        await until_delivered(self._database)
        return tokens[page]

    async def _post(
        self, path: str, body: dict[str, Any], headers: dict[str, str] | None = None
    ) -> Response:
        return await self.client.post(path, json=body, headers=_FIXED | (headers or {}))


def link_in(mail: Delivery) -> tuple[str, str]:
    """Return the page and the token of the only link."""
    found: list[tuple[str, str]] = _LINK.findall(mail.text)
    assert len(found) == 1, mail.text
    return found[0]
