"""Refresh tokens in tests: what they open, what the database says of them, callers at once."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import jwt
import pytest
from httpx2 import AsyncClient, Response
from sqlalchemy import event, func, select, text, update

from app.db.session import Database
from app.models import RefreshToken, User
from tests.support.api import Account, Api

REFRESH = "/api/v1/auth/refresh"
# For tests of reuse: within the interval, the previous token still returns its successor.
NO_INTERVAL = pytest.mark.settings(REFRESH_TOKEN_REUSE_INTERVAL_SECONDS=0)
Tokens = dict[str, Any]


async def rotated(api: Api, refresh_token: str) -> Tokens:
    """The tokens that a refresh token is exchanged for."""
    response = await api.refresh(refresh_token)
    assert response.status_code == 200, response.text
    tokens: Tokens = response.json()["data"]
    return tokens


async def what_opens(api: Api, *sessions: Tokens) -> list[str]:
    """Those of the tokens that still open something."""
    open_kinds = []
    for tokens in sessions:
        # The access token first: a refresh token that is refused may end the session.
        if (await api.me(tokens["access_token"])).status_code != 401:
            open_kinds.append("access_token")
        if (await api.refresh(tokens["refresh_token"])).status_code != 401:
            open_kinds.append("refresh_token")
    return open_kinds


async def live_sessions(database: Database, account: Account) -> int:
    """How many logins of the account are neither revoked nor older than the last end of all."""
    statement = (
        select(func.count())
        .select_from(RefreshToken)
        .join(User, User.id == RefreshToken.user_id)
        .where(
            User.public_id == account.public_id,
            User.is_active,
            User.is_deleted.is_(False),
            User.auth_version == RefreshToken.auth_version,
            RefreshToken.revoked_at.is_(None),
        )
    )
    async with database.read_sessions() as session:
        return await session.scalar(statement) or 0


def session_id(tokens: Tokens) -> str:
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    return str(claims["sid"])


async def family_of(database: Database, account: Account) -> RefreshToken:
    """The row behind the account's tokens."""
    statement = select(RefreshToken).filter_by(public_id=session_id(account.tokens))
    async with database.read_sessions() as session:
        return (await session.scalars(statement)).one()


async def change_family(database: Database, account: Account, **values: Any) -> None:
    """Write to the row behind the account's tokens what no request would write."""
    public_id = session_id(account.tokens)
    async with database.sessions.begin() as session:
        await session.execute(
            update(RefreshToken).where(RefreshToken.public_id == public_id).values(**values)
        )


async def forget_the_answer(database: Database, account: Account) -> None:
    """The state between a rotation's commit and the moment its answer is marked."""
    await change_family(database, account, answered_at=None)


@asynccontextmanager
async def writers_waiting(database: Database) -> AsyncIterator[None]:
    """In this block nobody rotates a token; at its end all who tried are released at once."""
    # On SQLite, beginning is enough: it takes the write lock.
    async with database.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("LOCK TABLE refresh_tokens IN EXCLUSIVE MODE"))
        yield


class Departures:
    """Tells when the last byte of every request has been sent."""

    def __init__(self, expected: int) -> None:
        self._missing = expected
        self._all_sent = asyncio.Event()
        self.extensions = {"trace": self._trace}

    async def wait(self) -> None:
        await self._all_sent.wait()

    async def _trace(self, name: str, _: dict[str, Any]) -> None:
        if name.endswith("send_request_body.complete"):
            self._missing -= 1
            if self._missing == 0:
                self._all_sent.set()


async def refresh_at_once(
    clients: Sequence[AsyncClient], refresh_token: str, *, callers: int, database: Database
) -> list[Response]:
    """Exchange one token from many callers, none of whom is answered before all have asked."""
    departures = Departures(callers)
    body = {"refresh_token": refresh_token}
    async with asyncio.TaskGroup() as group, writers_waiting(database):
        calls = [
            group.create_task(
                clients[i % len(clients)].post(REFRESH, json=body, extensions=departures.extensions)
            )
            for i in range(callers)
        ]
        await departures.wait()
        for client in [*clients, *clients]:
            # Answered by the same loop: it has read what was sent to it before.
            await client.get("/health/live")
    return [call.result() for call in calls]


@contextmanager
def counted_statements(database: Database) -> Iterator[list[str]]:
    """The statements that the application runs, on connections of every kind."""
    engines = [engine.sync_engine for engine in (database.engine, database.read_engine)]
    statements: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    for engine in engines:
        event.listen(engine, "before_cursor_execute", count)
    yield statements
    for engine in engines:
        event.remove(engine, "before_cursor_execute", count)
