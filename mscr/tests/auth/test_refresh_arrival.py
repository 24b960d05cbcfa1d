"""Order of arrival: honest races between callers, and reuse after the first response.

Two requests bring the same refresh token. Until the successor is first handed out, the second
request is an honest race. Afterwards it is reuse, on every machine and by every clock.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from httpx2 import Response
from sqlalchemy import event

from examples.catalogue.core.config import Settings
from examples.catalogue.db.session import Database
from examples.catalogue.main import create_app
from examples.catalogue.models.tables import TABLES
from examples.catalogue.tests.api import Api
from mscr.models.base import utcnow
from mscr.repositories import refresh_token_repository
from mscr.repositories.refresh_token_repository import RefreshTokenRepository
from mscr.services import refresh_token_service
from mscr.testing.api import Account
from mscr.testing.applications import running
from mscr.testing.databases import checked_out, on_postgresql, on_sqlite
from mscr.testing.tokens import (
    NO_INTERVAL,
    REFRESH,
    change_family,
    family_of,
    forget_the_answer,
    rotated,
    what_opens,
)

pytestmark = NO_INTERVAL

SKEW = timedelta(seconds=5)
ONE_CONNECTION = pytest.mark.settings(DATABASE_POOL_SIZE=1)
JSON = {"content-type": "application/json"}


class SlowCaller:
    """A client that holds back the last bytes of its refresh request."""

    def __init__(self, api: Api, refresh_token: str) -> None:
        self._body = json.dumps({"refresh_token": refresh_token}).encode()
        self._begun, self._finish = asyncio.Event(), asyncio.Event()
        self._sent = asyncio.Event()
        post = api.client.post(REFRESH, content=self._chunks(), headers=JSON)
        self.response = asyncio.create_task(post)

    async def begin(self) -> None:
        """Wait until the server has the headers and a part of the body."""
        await self._begun.wait()

    async def finish(self) -> None:
        """Send the rest; return when the server has read it all and run until its first wait."""
        self._finish.set()
        await self._sent.wait()

    async def _chunks(self) -> AsyncIterator[bytes]:
        self._begun.set()
        yield self._body[:10]
        await self._finish.wait()
        yield self._body[10:]
        self._sent.set()


async def test_a_request_begun_before_the_rotation_and_finished_after_it_is_reuse(
    api: Api, account: Account
) -> None:
    """RT2: a thief keeps half-sent requests open, and completes one with an exchanged token."""
    thief = SlowCaller(api, account.refresh_token)
    await thief.begin()
    tokens = await rotated(api, account.refresh_token)

    await thief.finish()

    assert (await thief.response).status_code == 401
    assert await what_opens(api, tokens) == []


@pytest.mark.parametrize("skew", [-SKEW, SKEW], ids=["behind", "ahead"])
async def test_replay_at_a_machine_with_clock_skew_is_reuse(
    api: Api, account: Account, skew: timedelta
) -> None:
    """RT2: clock skew makes no difference."""
    tokens = await rotated(api, account.refresh_token)

    with _clock_off_by(skew):
        response = await api.refresh(account.refresh_token)

    assert response.status_code == 401
    assert await what_opens(api, tokens) == []


@on_sqlite
async def test_replay_at_a_machine_that_pauses_is_reuse(
    api: Api, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RT2: however much time passes between two readings of the clock. PostgreSQL has its own."""
    tokens = await rotated(api, account.refresh_token)
    pauses = itertools.count(1)
    monkeypatch.setattr(
        refresh_token_repository, "utcnow", lambda: utcnow() + next(pauses) * timedelta(seconds=1)
    )

    response = await api.refresh(account.refresh_token)

    assert response.status_code == 401
    monkeypatch.undo()
    assert await what_opens(api, tokens) == []


@ONE_CONNECTION
async def test_a_caller_that_arrived_before_the_rotation_gets_the_successor(
    api: Api, account: Account, database: Database, settings: Settings
) -> None:
    """RT6: it waited for a connection while another process rotated and responded."""
    waited, tokens = await _overtaken(api, account, database, settings)

    assert waited.status_code == 200
    assert waited.json()["data"]["refresh_token"] == tokens["refresh_token"]


@on_postgresql
@pytest.mark.parametrize("skew", [-SKEW, SKEW], ids=["behind", "ahead"])
@ONE_CONNECTION
async def test_a_caller_that_arrived_before_the_rotation_gets_the_successor_despite_clock_skew(
    api: Api, account: Account, database: Database, settings: Settings, skew: timedelta
) -> None:
    """RT6: clock skew between machines; processes on SQLite share one clock."""
    waited, tokens = await _overtaken(api, account, database, settings, skew=skew)

    assert waited.status_code == 200
    assert waited.json()["data"]["refresh_token"] == tokens["refresh_token"]


def _clock_off_by(skew: timedelta) -> time_machine.travel:
    """Within this block, shift the clock as on a machine whose clock is ahead or behind."""
    return time_machine.travel(datetime.now(UTC) + skew, tick=True)


async def _overtaken(
    api: Api,
    account: Account,
    database: Database,
    settings: Settings,
    *,
    skew: timedelta = timedelta(0),
) -> tuple[Response, dict[str, str]]:
    """Let a caller arrive, serve another one at a second process, and then serve the first.

    Returns the first caller's response and the other one's tokens.
    """
    async with running(create_app(settings)) as second:
        async with database.engine.connect():
            with _clock_off_by(skew):
                first = SlowCaller(api, account.refresh_token)
                await first.finish()
            body = {"refresh_token": account.refresh_token}
            overtaker = await second.post(REFRESH, json=body)
        with _clock_off_by(skew):
            return await first.response, overtaker.json()["data"]


async def _mark_answered(database: Database, account: Account) -> None:
    family = await family_of(database, account)
    async with database.sessions() as session:
        repo = RefreshTokenRepository(session, TABLES)
        await repo.mark_answered(family.id, generation=family.generation)


async def test_the_successor_of_a_crashed_process_is_returned_once(
    api: Api, account: Account, database: Database
) -> None:
    """RL9: no response had the successor, so the owner still gets it; the next request is reuse."""
    tokens = await rotated(api, account.refresh_token)
    await forget_the_answer(database, account)

    again = await rotated(api, account.refresh_token)

    assert again["refresh_token"] == tokens["refresh_token"]
    assert (await api.refresh(account.refresh_token)).status_code == 401
    assert await what_opens(api, again) == []


async def test_a_rotation_without_a_response_never_ends_the_session(
    api: Api, account: Account, database: Database
) -> None:
    """RT7: the process died before its response; clients still hold only the old token."""
    tokens = await rotated(api, account.refresh_token)
    yesterday = utcnow() - timedelta(days=1)
    await change_family(database, account, answered_at=None, rotated_at=yesterday)

    again = await rotated(api, account.refresh_token)

    assert again["refresh_token"] == tokens["refresh_token"]


async def test_the_first_of_several_responses_waits_for_requests_in_flight(
    api: Api, account: Account, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RT6: one of several parallel callers arrives after the others have rotated."""
    monkeypatch.setattr(refresh_token_service, "GATHERING_TIME", timedelta(seconds=1))
    two = [asyncio.create_task(api.refresh(account.refresh_token)) for _ in range(2)]
    # Poll for the rotation: the database sends no event.
    while (await family_of(database, account)).generation == 0:  # noqa: ASYNC110 - see above
        await asyncio.sleep(0)
    # Poll until the waiting requests have returned their connections to the pool.
    while checked_out(database):  # noqa: ASYNC110 - it sends no event either
        await asyncio.sleep(0)
    assert not any(task.done() for task in two)

    late = await api.refresh(account.refresh_token)

    answers = [late, *await asyncio.gather(*two)]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["data"]["refresh_token"] for answer in answers}) == 1


async def test_a_slow_process_does_not_postpone_the_time_of_the_first_response(
    api: Api, account: Account, database: Database
) -> None:
    """RT2: if two responses hand the successor out, the earlier one sets `answered_at`."""
    await rotated(api, account.refresh_token)
    before = await family_of(database, account)

    await _mark_answered(database, account)

    assert (await family_of(database, account)).answered_at == before.answered_at


@on_sqlite
async def test_the_time_of_the_first_response_is_taken_after_the_wait_for_the_lock(
    api: Api, account: Account, database: Database
) -> None:
    """RT6: a caller that arrives while the process waits for the write lock is an honest race."""
    await rotated(api, account.refresh_token)
    await forget_the_answer(database, account)
    async with asyncio.TaskGroup() as group, database.engine.begin():
        waiting = asyncio.Event()
        event.listen(database.engine.sync_engine, "checkout", lambda *_: waiting.set())
        group.create_task(_mark_answered(database, account))
        await waiting.wait()
        came_meanwhile = utcnow()

    answered_at = (await family_of(database, account)).answered_at
    assert answered_at is not None
    assert answered_at > came_meanwhile
