"""Jobs through TaskIQ on Valkey: other processes get them at once, and none is lost with it."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from redis.asyncio import Redis

from mscr.core import settings_fields
from mscr.jobs import engine as engine_module
from mscr.jobs.engine import STREAM, Engine
from mscr.jobs.runner import JobRunner
from mscr.models.base import utcnow
from mscr.project import Project
from mscr.repositories.job_repository import JobRepository
from mscr.testing.callers import server_that_never_answers
from mscr.testing.databases import on_sqlite
from mscr.testing.valkey import ValkeyServer
from mscr.testing.waiting import until
from mscr.tests.jobs.bench import LONG, Bench


@pytest.fixture
async def url(valkey: ValkeyServer) -> AsyncIterator[str]:
    async with Redis.from_url(valkey.url) as store:
        await store.flushdb()
        yield valkey.url


@pytest.fixture
def engine(bench: Bench, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runners of the bench use the engine."""
    settings = bench.app.state.collaborators.settings
    monkeypatch.setattr(settings, "JOBS_ENGINE_URL", SecretStr(url))
    monkeypatch.setattr(engine_module, "PAUSE", timedelta(seconds=0.05))


@asynccontextmanager
async def worker(bench: Bench) -> AsyncIterator[JobRunner]:
    async with bench.running() as runner:
        runner.start()
        yield runner


async def send(bench: Bench, *ids: str) -> None:
    """Hand jobs over in a process that runs none, and end it."""
    runner = bench.runner()
    runner.hand_over(ids)
    await runner.close(within=LONG)


async def settled(bench: Bench, url: str, *, messages: int) -> None:
    """Wait until no job is left, and all messages are acknowledged."""

    async def is_settled() -> bool:
        async with Redis.from_url(url) as store:
            groups = await store.xinfo_groups(STREAM) if await store.exists(STREAM) else []
            length = await store.xlen(STREAM)
        is_read = any(group["pending"] == 0 and group["lag"] == 0 for group in groups)
        return length == messages and is_read and not await bench.rows()

    await until(is_settled)


async def test_a_worker_runs_the_jobs_that_another_process_hands_over(
    bench: Bench, engine: None, url: str
) -> None:
    async with worker(bench):
        await send(bench, *[await bench.add(name) for name in ("Ada", "Eve")])
        await settled(bench, url, messages=2)

    assert sorted(bench.done) == ["Ada", "Eve"]


async def test_jobs_from_before_the_first_worker_run(bench: Bench, engine: None, url: str) -> None:
    await send(bench, await bench.add("Ada"))

    async with worker(bench):
        await settled(bench, url, messages=1)

    assert bench.done == ["Ada"]


async def test_several_workers_run_each_job_once(bench: Bench, engine: None, url: str) -> None:
    async with worker(bench), worker(bench):
        ids = [await bench.add(str(number)) for number in range(20)]
        # Each message comes twice, as after a worker that died.
        await send(bench, *ids, *ids)
        await settled(bench, url, messages=40)

    assert len(bench.done) == 20
    assert set(bench.most_at_once.values()) == {1}


async def test_the_id_of_a_job_that_was_rolled_back_runs_nothing(
    bench: Bench, engine: None, url: str
) -> None:
    """RL15."""
    async with bench.database.sessions() as session:
        public_id = await bench.add("Ada", session)
        await session.rollback()

    async with worker(bench):
        await send(bench, public_id)
        await settled(bench, url, messages=1)

    assert bench.done == []


async def test_a_job_that_is_not_due_stays(bench: Bench, engine: None, url: str) -> None:
    public_id = await bench.add("Ada", delay=timedelta(hours=1))

    async with worker(bench):
        await send(bench, public_id, await bench.add("Eve"))
        await until(lambda: _holds(bench, "Eve"))

    assert bench.done == ["Eve"]
    assert [row.attempts for row in await bench.rows()] == [0]


async def _holds(bench: Bench, name: str) -> bool:
    return name in bench.done


@pytest.mark.settings(JOBS_MAX_RUNNING=1)
async def test_a_job_without_a_free_slot_runs_after_the_others(
    bench: Bench, engine: None, url: str
) -> None:
    bench.may_end.clear()
    async with worker(bench) as runner:
        await bench.add("Ada")
        runner.wake()
        await bench.begun.wait()
        await runner.run_one(await bench.add("Eve"))
        assert len(bench.ids) == 1
        bench.may_end.set()
        await until(lambda: _holds(bench, "Eve"))

    assert bench.done == ["Ada", "Eve"]


async def test_a_job_that_is_claimed_while_its_process_stops_is_due_at_once(
    bench: Bench, engine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    public_id, runner = await bench.add("Ada"), bench.runner()
    claim = JobRepository.claim

    async def claim_slowly(repo: JobRepository, *arguments: Any, **values: Any) -> Any:
        found = await claim(repo, *arguments, **values)
        await runner.close(within=LONG)
        return found

    monkeypatch.setattr(JobRepository, "claim", claim_slowly)
    await runner.run_one(public_id)
    await runner.run_one(public_id)

    [row] = await bench.rows()
    assert (bench.done, row.attempts) == ([], 1)
    assert row.due_at <= utcnow()


@pytest.mark.settings(JOBS_POLL_SECONDS=0.1)
async def test_a_job_whose_message_is_lost_runs_at_the_next_search(
    bench: Bench, engine: None, url: str
) -> None:
    await send(bench, await bench.add("Ada"))
    async with Redis.from_url(url) as store:
        await store.flushdb()

    async with worker(bench):
        await bench.begun.wait()


@on_sqlite
async def test_a_store_that_is_away_is_logged_and_asked_again(
    bench: Bench, engine: None, url: str, monkeypatch: pytest.MonkeyPatch, log_output: io.StringIO
) -> None:
    settings = bench.app.state.collaborators.settings
    monkeypatch.setattr(settings, "JOBS_ENGINE_URL", SecretStr("unix:///nowhere.sock"))
    async with worker(bench):

        async def is_logged_twice() -> bool:
            return log_output.getvalue().count("jobs_not_received") >= 2

        await until(is_logged_twice)
        await send(bench, await bench.add("Ada"))

    assert "jobs_not_sent" in log_output.getvalue()
    assert len(await bench.rows()) == 1


async def test_a_worker_goes_on_when_the_store_has_lost_everything(
    bench: Bench, engine: None, url: str
) -> None:
    async with worker(bench), Redis.from_url(url) as store:
        await send(bench, await bench.add("Ada"))
        await settled(bench, url, messages=1)
        await store.flushdb()
        await send(bench, await bench.add("Eve"))
        await settled(bench, url, messages=1)

    assert bench.done == ["Ada", "Eve"]


def test_an_engine_that_is_not_installed_is_refused_at_the_start(
    tested_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_fields, "find_spec", lambda _: None)

    with pytest.raises(ValidationError, match="pip install taskiq-redis"):
        tested_project.settings.from_env_file(None, JOBS_ENGINE_URL="redis://127.0.0.1:6379/0")


@pytest.mark.usefixtures("engine")
async def test_a_request_without_jobs_sends_nothing(bench: Bench) -> None:
    async with bench.running() as runner:
        runner.hand_over([])

        assert runner._engine is not None
        assert runner._engine._sending == set()


async def test_a_store_that_never_answers_does_not_delay_the_end() -> None:
    async with server_that_never_answers() as port:
        engine = Engine(f"redis://127.0.0.1:{port}", run_nothing, slots=1, lease=LONG)
        engine.send(["01890a5d-ac96-774b-bcce-b302099a8057"])
        await engine.close(until=0)

    assert engine._sending == set()


async def run_nothing(_: str) -> None:
    raise AssertionError
