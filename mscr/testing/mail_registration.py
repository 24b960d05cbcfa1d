"""The steps of registration by mail, including the mailbox."""

import re
from typing import Any, Final

from httpx2 import AsyncClient, Response
from sqlalchemy import exists, select

from mscr.db.session import Database
from mscr.testing.api import PASSWORD, Account, Api
from mscr.testing.mail_server import Delivery, MailServer
from mscr.testing.waiting import until

REGISTER: Final = "/api/v1/auth/register"
CONFIRM: Final = "/api/v1/auth/confirm-registration"
PUBLIC_URL: Final = "https://app.example.com/start"
LINK: Final = re.compile(
    rf"^{re.escape(PUBLIC_URL)}/confirm-registration#token=(\S+)$", re.MULTILINE
)


class MailApi(Api):
    """Registers in two steps, confirmed by mail."""

    def __init__(self, client: AsyncClient, database: Database, server: MailServer) -> None:
        super().__init__(client, database)
        self.server = server

    async def _register(self, email: str, password: str) -> Account:
        token = await self.mailed_token(email, password=password)
        confirmed = await self.confirm(token, password)
        assert confirmed.status_code == 201, confirmed.text
        public_id = confirmed.json()["data"]["public_id"]
        return await self.login(Account(email, public_id, {}, password))

    async def ask(
        self,
        email: str,
        *,
        password: str = PASSWORD,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> Response:
        """Send the first step with a fixed request id, which otherwise differs in each response."""
        _, body = self.registration(email, password)
        fixed = {"X-Request-ID": "the-same-for-all", **(headers or {})}
        return await self.client.post(REGISTER, json={**body, **more}, headers=fixed)

    async def mail_for(self, email: str, **request: Any) -> Delivery:
        """Send the first step and return the mail that arrives."""
        response = await self.ask(email, **request)
        assert response.status_code == 202, response.text
        mail = await self.server.next()
        await until_delivered(self._database)
        return mail

    async def mailed_token(self, email: str, **request: Any) -> str:
        """Send the first step and return the token of the mailed link."""
        response = await self.ask(email, **request)
        assert response.status_code == 202, response.text
        token = link_token(await self.server.next_to(email))
        await until_delivered(self._database)
        return token

    async def confirm(self, token: str, password: str = PASSWORD) -> Response:
        return await self.client.post(CONFIRM, json={"token": token, "password": password})


async def until_delivered(database: Database) -> None:
    """Wait until no job is left, except dead ones."""
    job = database.tables.job
    waiting = select(exists().where(job.dead_at.is_(None)))

    async def is_empty() -> bool:
        async with database.read_sessions() as session:
            return await session.scalar(waiting) is not True

    await until(is_empty)


def link_token(mail: Delivery) -> str:
    [token] = LINK.findall(mail.text)
    return str(token)
