"""Refresh tokens in tests: exchange them, inspect their rows, and race parallel callers."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import jwt
import pytest
from httpx2 import AsyncClient, Response
from sqlalchemy import event, func, select, text, update

from mscr.db.session import Database
from mscr.models.refresh_token import RefreshTokenMixin
from mscr.testing.api import Account, Api
from mscr.testing.statements import is_of_a_job

REFRESH = "/api/v1/auth/refresh"
# For tests of reuse: with an interval, the previous token would still return its successor.
NO_INTERVAL = pytest.mark.settings(REFRESH_TOKEN_REUSE_INTERVAL_SECONDS=0)
Tokens = dict[str, Any]


async def rotated(api: Api, refresh_token: str) -> Tokens:
    """Exchange a refresh token and return the new tokens."""
    response = await api.refresh(refresh_token)
    assert response.status_code == 200, response.text
    tokens: Tokens = response.json()["data"]
    return tokens


async def what_opens(api: Api, *sessions: Tokens) -> list[str]:
    """Return the kinds of the tokens that are still accepted. Exchanges the refresh tokens."""
    open_kinds = []
    for tokens in sessions:
        # Try the access token first: a refused refresh token may end the session.
        if (await api.me(tokens["access_token"])).status_code != 401:
            open_kinds.append("access_token")
        if (await api.refresh(tokens["refresh_token"])).status_code != 401:
            open_kinds.append("refresh_token")
    return open_kinds


async def live_sessions(database: Database, account: Account) -> int:
    """Count the account's sessions that were ended neither individually nor with all others."""
    user, token = database.tables.user, database.tables.refresh_token
    statement = (
        select(func.count())
        .select_from(token)
        .join(user, user.id == token.user_id)
        .where(
            user.public_id == account.public_id,
            user.is_active,
            user.is_deleted.is_(False),
            user.auth_version == token.auth_version,
            token.revoked_at.is_(None),
        )
    )
    async with database.read_sessions() as session:
        return await session.scalar(statement) or 0


def session_id(tokens: Tokens) -> str:
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    return str(claims["sid"])


async def family_of(database: Database, account: Account) -> RefreshTokenMixin:
    """Return the session's row, which identifies the family of the account's tokens."""
    statement = select(database.tables.refresh_token).filter_by(
        public_id=session_id(account.tokens)
    )
    async with database.read_sessions() as session:
        return (await session.scalars(statement)).one()


async def change_family(database: Database, account: Account, **values: Any) -> None:
    """Update the session's row with values that no request would write."""
    token = database.tables.refresh_token
    public_id = session_id(account.tokens)
    async with database.sessions.begin() as session:
        await session.execute(update(token).where(token.public_id == public_id).values(**values))


async def forget_the_answer(database: Database, account: Account) -> None:
    """Restore the state between a rotation's commit and `mark_answered`."""
    await change_family(database, account, answered_at=None)


@asynccontextmanager
async def writers_waiting(database: Database) -> AsyncIterator[None]:
    """Block every rotation in this block; its end releases all waiting ones at once."""
    # On SQLite, BEGIN suffices: it takes the write lock.
    async with database.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("LOCK TABLE refresh_tokens IN EXCLUSIVE MODE"))
        yield


class Departures:
    """Waits until the last byte of every request has been sent."""

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
    """Exchange one token from many callers; no response comes before all requests were sent."""
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
            # The same event loop responds, so it has read everything that was sent before.
            await client.get("/health/live")
    return [call.result() for call in calls]


@contextmanager
def counted_statements(database: Database) -> Iterator[list[str]]:
    """Collect the statements that the application's engines execute."""
    engines = [engine.sync_engine for engine in (database.engine, database.read_engine)]
    statements: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.extend(() if is_of_a_job() else (statement,))

    for engine in engines:
        event.listen(engine, "before_cursor_execute", count)
    yield statements
    for engine in engines:
        event.remove(engine, "before_cursor_execute", count)
