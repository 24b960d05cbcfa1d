"""Who came first: callers that could not know the successor, and those who could.

The same token is brought again. Before its successor was handed out to anybody, that is an honest
race; afterwards it is reuse, on whatever machine, by whatever clock.
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

from app.core.config import Settings
from app.db.session import Database
from app.models.base import utcnow
from app.repositories import refresh_token_repository
from app.repositories.refresh_token_repository import RefreshTokenRepository
from app.services import refresh_token_service
from tests.support.api import Account, Api
from tests.support.applications import running
from tests.support.databases import checked_out, on_postgresql, on_sqlite
from tests.support.tokens import (
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
    """Sends a refresh request of which the last bytes are held back."""

    def __init__(self, api: Api, refresh_token: str) -> None:
        self._body = json.dumps({"refresh_token": refresh_token}).encode()
        self._begun, self._finish = asyncio.Event(), asyncio.Event()
        self._sent = asyncio.Event()
        post = api.client.post(REFRESH, content=self._chunks(), headers=JSON)
        self.response = asyncio.create_task(post)

    async def begin(self) -> None:
        """The server has the headers and half of the body."""
        await self._begun.wait()

    async def finish(self) -> None:
        """The server has it all, and has gone on as far as it could without waiting."""
        self._finish.set()
        await self._sent.wait()

    async def _chunks(self) -> AsyncIterator[bytes]:
        self._begun.set()
        yield self._body[:10]
        await self._finish.wait()
        yield self._body[10:]
        self._sent.set()


async def test_request_that_was_begun_early_and_finished_late_is_reuse(
    api: Api, account: Account
) -> None:
    """RT2: a thief keeps requests half sent, and completes one with a token that is no more."""
    thief = SlowCaller(api, account.refresh_token)
    await thief.begin()
    tokens = await rotated(api, account.refresh_token)

    await thief.finish()

    assert (await thief.response).status_code == 401
    assert await what_opens(api, tokens) == []


@pytest.mark.parametrize("skew", [-SKEW, SKEW], ids=["behind", "ahead"])
async def test_replay_at_a_machine_with_another_time_is_reuse(
    api: Api, account: Account, skew: timedelta
) -> None:
    """RT2: what the clock over there says makes no difference."""
    tokens = await rotated(api, account.refresh_token)

    with _clock_off_by(skew):
        response = await api.refresh(account.refresh_token)

    assert response.status_code == 401
    assert await what_opens(api, tokens) == []


@on_sqlite
async def test_replay_at_a_machine_that_pauses_is_reuse(
    api: Api, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RT2: however much time passes between two looks at the clock; PostgreSQL has its own."""
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
async def test_caller_who_came_first_and_was_kept_waiting_gets_the_successor(
    api: Api, account: Account, database: Database, settings: Settings
) -> None:
    """RT6: it waited for a connection while another process rotated and answered."""
    waited, tokens = await _overtaken(api, account, database, settings)

    assert waited.status_code == 200
    assert waited.json()["data"]["refresh_token"] == tokens["refresh_token"]


@on_postgresql
@pytest.mark.parametrize("skew", [-SKEW, SKEW], ids=["behind", "ahead"])
@ONE_CONNECTION
async def test_caller_who_came_first_to_a_machine_with_another_time_gets_the_successor(
    api: Api, account: Account, database: Database, settings: Settings, skew: timedelta
) -> None:
    """RT6: the machines' clocks differ; processes on SQLite share one."""
    waited, tokens = await _overtaken(api, account, database, settings, skew=skew)

    assert waited.status_code == 200
    assert waited.json()["data"]["refresh_token"] == tokens["refresh_token"]


def _clock_off_by(skew: timedelta) -> time_machine.travel:
    """Within this block we are a process on a machine whose clock is ahead, or behind."""
    return time_machine.travel(datetime.now(UTC) + skew, tick=True)


async def _overtaken(
    api: Api,
    account: Account,
    database: Database,
    settings: Settings,
    *,
    skew: timedelta = timedelta(0),
) -> tuple[Response, dict[str, str]]:
    """One caller arrives; another is served by a second process; then the first is served."""
    async with running(settings) as second:
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
        repo = RefreshTokenRepository(session)
        await repo.mark_answered(family.id, generation=family.generation)


async def test_rotation_of_a_dead_process_is_answered_once(
    api: Api, account: Account, database: Database
) -> None:
    """RL9: nobody was told the successor, so its owner still is; whoever comes next is a thief."""
    tokens = await rotated(api, account.refresh_token)
    await forget_the_answer(database, account)

    again = await rotated(api, account.refresh_token)

    assert again["refresh_token"] == tokens["refresh_token"]
    assert (await api.refresh(account.refresh_token)).status_code == 401
    assert await what_opens(api, again) == []


async def test_rotation_that_nobody_was_told_of_does_not_end_the_login_however_late(
    api: Api, account: Account, database: Database
) -> None:
    """RT7: the process died before it answered; the old token is the newest that anyone holds."""
    tokens = await rotated(api, account.refresh_token)
    yesterday = utcnow() - timedelta(days=1)
    await change_family(database, account, answered_at=None, rotated_at=yesterday)

    again = await rotated(api, account.refresh_token)

    assert again["refresh_token"] == tokens["refresh_token"]


async def test_the_first_of_several_answers_waits_for_requests_that_are_under_way(
    api: Api, account: Account, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RT6: of parallel callers, one arrives when the others have rotated already."""
    monkeypatch.setattr(refresh_token_service, "GATHERING_TIME", timedelta(seconds=1))
    two = [asyncio.create_task(api.refresh(account.refresh_token)) for _ in range(2)]
    # The rotation is seen in the database alone, which sends no event.
    while (await family_of(database, account)).generation == 0:  # noqa: ASYNC110 - see above
        await asyncio.sleep(0)
    # Nobody holds a connection while waiting.
    while checked_out(database):  # noqa: ASYNC110 - it sends no event either
        await asyncio.sleep(0)
    assert not any(task.done() for task in two)

    late = await api.refresh(account.refresh_token)

    answers = [late, *await asyncio.gather(*two)]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["data"]["refresh_token"] for answer in answers}) == 1


async def test_slow_process_does_not_put_off_the_first_answer(
    api: Api, account: Account, database: Database
) -> None:
    """RT2: of two who hand the successor out, the earlier one ends the time for it."""
    await rotated(api, account.refresh_token)
    before = await family_of(database, account)

    await _mark_answered(database, account)

    assert (await family_of(database, account)).answered_at == before.answered_at


@on_sqlite
async def test_answer_counts_from_when_it_is_marked_not_from_when_that_was_wished_for(
    api: Api, account: Account, database: Database
) -> None:
    """RT6: the process waits for the write lock; who comes meanwhile cannot know the successor."""
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
