"""Jobs run at least once after the commit of their cause, and never twice at the same time."""

import asyncio
import contextlib
import io
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr
from sqlalchemy import insert, select, text

from mscr.jobs import runner as runner_module
from mscr.jobs.job import Job, JobRefusedError, Work
from mscr.jobs.runner import LONGEST_WAIT, JobRunner, _wait_after
from mscr.models.base import new_public_id, utcnow
from mscr.repositories.job_repository import JobRepository
from mscr.testing.databases import on_postgresql, on_sqlite
from mscr.tests.jobs.bench import LONG, NAME, Bench, Greeting


async def test_a_committed_job_runs_once_and_leaves_no_row(bench: Bench) -> None:
    await bench.add("Ada")

    async with bench.running() as runner:
        await runner.join()
        await runner.join()

    assert bench.done == ["Ada"]
    assert await bench.rows() == []


async def test_a_job_whose_cause_is_rolled_back_never_runs(bench: Bench) -> None:
    """RL15."""
    async with bench.database.sessions() as session:
        await bench.add("Ada", session)
        await session.rollback()

    async with bench.running() as runner:
        await runner.join()

    assert bench.done == []


async def test_several_processes_run_each_job_once(bench: Bench) -> None:
    names = [f"person {number}" for number in range(40)]
    async with bench.database.sessions() as session:
        for name in names:
            await bench.add(name, session)
        await session.commit()

    runners = [bench.runner() for _ in range(4)]
    # One of them may have finished while another still runs its last jobs.
    await asyncio.gather(*(runner.join() for runner in runners))
    await asyncio.gather(*(runner.close(within=LONG) for runner in runners))

    assert sorted(bench.done) == sorted(names)
    assert set(bench.most_at_once.values()) == {1}
    assert await bench.rows() == []


@pytest.mark.settings(JOBS_MAX_RUNNING=3)
async def test_a_process_runs_a_bounded_number_of_jobs(bench: Bench) -> None:
    bench.may_end.clear()
    for number in range(5):
        await bench.add(str(number))

    async with bench.running() as runner:
        runner.wake()
        await bench.begun.wait()
        while runner._claiming is not None:
            await asyncio.wait([runner._claiming])

        assert [row.attempts for row in await bench.rows()] == [1, 1, 1, 0, 0]
        bench.may_end.set()
        await runner.join()

    assert len(bench.done) == 5


@pytest.mark.settings(JOBS_IN_PROCESS=False)
async def test_a_process_that_runs_no_jobs_leaves_them_to_workers(bench: Bench) -> None:
    public_id = await bench.add("Ada")

    async with bench.running() as runner:
        runner.hand_over([public_id])
        assert runner._claiming is None

    assert [row.attempts for row in await bench.rows()] == [0]


@pytest.mark.settings(JOBS_MAX_RUNNING=2)
async def test_slow_jobs_do_not_delay_an_urgent_one(bench: Bench) -> None:
    """One caller's webhooks to slow receivers must not hold the mails of others."""
    arrived = asyncio.Event()

    async def arrive(_: Greeting, __: Work) -> None:
        arrived.set()

    urgent = Job("tests.urgent", Greeting, arrive, is_urgent=True)
    bench.may_end.clear()
    for number in range(3):
        await bench.add(str(number))
    async with bench.database.sessions.begin() as session:
        await bench.outbox(session).add(urgent, Greeting(to="Ada"))
    runner = JobRunner([bench.job, urgent], bench.app.state.collaborators, bench.database)

    runner.wake()
    await asyncio.wait_for(arrived.wait(), LONG.total_seconds())

    slow = [row.attempts for row in await bench.rows() if row.name == NAME]
    assert slow == [1, 1, 0]
    bench.may_end.set()
    await runner.join()
    await runner.close(within=LONG)
    assert len(bench.done) == 3


async def test_a_job_runs_when_it_is_due_and_not_before(bench: Bench) -> None:
    await bench.add("Ada", delay=timedelta(hours=1))

    async with bench.running() as runner:
        await runner.join()
        assert bench.done == []
        await bench.end_leases()
        await runner.join()

    assert bench.done == ["Ada"]


# --- failures


async def test_a_failed_job_is_due_again_later_with_the_same_id(bench: Bench) -> None:
    public_id = await bench.add("Ada")
    bench.error = ConnectionError("away: secret")

    async with bench.running() as runner:
        await runner.join()
        [row] = await bench.rows()
        assert (row.attempts, row.fault, row.dead_at) == (1, "ConnectionError", None)
        assert timedelta(0) < row.due_at - utcnow() < timedelta(seconds=10)

        bench.error = None
        await bench.end_leases()
        await runner.join()

    assert bench.done == ["Ada"]
    assert bench.ids == [public_id] * 2


async def test_changes_of_a_failed_attempt_are_not_stored(bench: Bench) -> None:
    await bench.add("Ada")
    bench.writes, bench.error = True, ConnectionError()

    async with bench.running() as runner:
        await runner.join()

    assert len(await bench.rows()) == 1


async def test_changes_of_a_job_are_stored_together_with_its_end(bench: Bench) -> None:
    await bench.add("Ada")
    bench.writes = True

    async with bench.running() as runner:
        bench.may_end.clear()
        runner.wake()
        await bench.begun.wait()
        bench.writes = False
        bench.may_end.set()
        await runner.join()

    assert bench.done == ["Ada", "after Ada"]
    assert await bench.rows() == []


async def test_a_job_past_its_patience_is_dead(bench: Bench) -> None:
    await bench.add("Ada", patience=timedelta(0))
    bench.error = ConnectionError()

    async with bench.running() as runner:
        await runner.join()
        await bench.end_leases()
        await runner.join()

    [row] = await bench.rows()
    assert row.dead_at is not None
    assert (row.attempts, row.fault) == (1, "ConnectionError")


async def test_the_last_attempt_is_at_the_end_of_the_patience(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Waits longer than the patience, which is longer than a pause of a busy machine.
    monkeypatch.setattr(runner_module, "FIRST_RETRY", LONGEST_WAIT)
    await bench.add("Ada")
    bench.error = ConnectionError()

    async with bench.running() as runner:
        await runner.join()

    [row] = await bench.rows()
    assert row.due_at == row.gives_up_at


async def test_a_refused_job_is_dead_at_once(bench: Bench, log_output: io.StringIO) -> None:
    await bench.add("Ada")
    bench.error = JobRefusedError("for ada@example.com")

    async with bench.running() as runner:
        await runner.join()

    [row] = await bench.rows()
    assert row.dead_at is not None
    assert "job_dead" in log_output.getvalue()
    assert "ada@example.com" not in log_output.getvalue()


async def test_a_job_that_takes_too_long_is_cancelled_and_due_again(bench: Bench) -> None:
    bench.time_limit = timedelta(seconds=0.05)
    bench.may_end.clear()
    await bench.add("Ada")

    async with bench.running() as runner:
        await runner.join()
        [row] = await bench.rows()

    assert (row.attempts, row.fault) == (1, "TimeoutError")
    assert bench.done == []


@pytest.mark.parametrize("data", ["{}", "no JSON"])
async def test_data_that_cannot_be_read_fails_like_the_job(bench: Bench, data: str) -> None:
    public_id = await bench.add("Ada")
    encryption = bench.app.state.collaborators.encryption
    await bench.set_all(data=encryption.encrypt(data, context=f"jobs:{public_id}:data"))

    async with bench.running() as runner:
        await runner.join()

    [row] = await bench.rows()
    assert row.fault == "ValidationError"


def test_retries_become_rarer_up_to_an_hour() -> None:
    waits = [_wait_after(attempt) for attempt in (1, 2, 3, 9, 1000)]

    assert timedelta(seconds=4) <= waits[0] <= timedelta(seconds=6)
    assert timedelta(seconds=16) <= waits[2] <= timedelta(seconds=24)
    assert all(wait <= 1.2 * LONGEST_WAIT for wait in waits)
    assert waits[4] >= 0.8 * LONGEST_WAIT


async def test_a_job_whose_own_task_was_cancelled_has_failed(bench: Bench) -> None:
    """Not interrupted by us: it would be due at once, again and again."""

    async def run(_: Greeting, work: Work) -> None:
        bench.ids.append(work.id)
        inner = asyncio.create_task(asyncio.Event().wait())
        inner.cancel()
        await inner

    job = Job(NAME, Greeting, run)
    await bench.add("Ada")
    runner = JobRunner([job], bench.app.state.collaborators, bench.database)
    await runner.join()
    await runner.close(within=LONG)

    [row] = await bench.rows()
    assert (len(bench.ids), row.fault) == (1, "CancelledError")


async def test_a_job_that_kills_its_process_each_time_is_dead_after_its_patience(
    bench: Bench,
) -> None:
    """No attempt of it ends, so that none can notice the end of the patience."""
    await bench.add("Ada")
    past = utcnow() - timedelta(days=1)
    await bench.set_all(due_at=past, gives_up_at=past, attempts=100)

    async with bench.running() as runner:
        await runner.join()

    [row] = await bench.rows()
    assert (bench.done, row.fault, row.dead_at is not None) == ([], "TooLateError", True)


async def test_an_error_with_a_long_name_is_stored_too(bench: Bench) -> None:
    await bench.add("Ada")
    bench.error = type("E" * 200, (Exception,), {})()

    async with bench.running() as runner:
        await runner.join()

    [row] = await bench.rows()
    assert row.fault == "E" * 100


# --- processes that die, or stop


async def test_a_job_of_a_dead_process_runs_in_another_after_its_lease(bench: Bench) -> None:
    await bench.add("Ada")
    bench.may_end.clear()
    dead, other = bench.runner(), bench.runner()
    dead.wake()
    await bench.begun.wait()
    never, bench.may_end = bench.may_end, asyncio.Event()
    bench.may_end.set()

    await other.join()
    assert bench.done == []
    await bench.end_leases()
    await other.join()

    assert bench.done == ["Ada"]
    assert bench.ids == bench.ids[:1] * 2
    never.set()
    for runner in (dead, other):
        await runner.close(within=LONG)


@on_postgresql
async def test_an_attempt_that_outlived_its_lease_stores_nothing(
    bench: Bench, log_output: io.StringIO
) -> None:
    """Fencing: the process was suspended, and another one has done the job meanwhile.

    SQLite has one writer at a time: there, the first attempt would keep the second one out.
    """
    await bench.add("Ada")
    bench.writes = True
    bench.may_end.clear()
    late, other = bench.runner(), bench.runner()
    late.wake()
    await bench.begun.wait()
    released, bench.may_end = bench.may_end, asyncio.Event()
    bench.may_end.set()
    bench.writes = False
    await bench.end_leases()
    await other.join()
    assert bench.done == ["Ada"]

    released.set()
    await late.join()

    assert "job_lease_lost" in log_output.getvalue()
    assert await bench.rows() == []
    for runner in (late, other):
        await runner.close(within=LONG)


async def test_an_attempt_that_outlived_its_lease_does_not_end_the_newer_one(bench: Bench) -> None:
    await bench.add("Ada")
    bench.may_end.clear()
    late, other = bench.runner(), bench.runner()
    late.wake()
    await bench.begun.wait()
    released, bench.may_end = bench.may_end, asyncio.Event()
    bench.begun.clear()
    await bench.end_leases()
    other.wake()
    await bench.begun.wait()

    released.set()
    await asyncio.wait({*late._running})

    assert [row.attempts for row in await bench.rows()] == [2]
    bench.may_end.set()
    await other.join()
    assert await bench.rows() == []
    for runner in (late, other):
        await runner.close(within=LONG)


async def test_shutdown_makes_an_unfinished_job_due_at_once(
    bench: Bench, log_output: io.StringIO
) -> None:
    await bench.add("Ada")
    bench.may_end.clear()
    runner = bench.runner()
    runner.wake()
    await bench.begun.wait()

    await runner.close(within=timedelta(0))

    [row] = await bench.rows()
    assert row.due_at <= utcnow()
    assert "job_interrupted" in log_output.getvalue()
    bench.may_end.set()
    async with bench.running() as other:
        await other.join()
    assert bench.done == ["Ada"]


async def test_shutdown_waits_for_running_jobs_and_starts_no_others(bench: Bench) -> None:
    bench.may_end.clear()
    await bench.add("Ada")
    runner = bench.runner()
    runner.wake()
    await bench.begun.wait()
    await bench.add("Eve")

    closing = asyncio.create_task(runner.close(within=LONG))
    await asyncio.sleep(0)
    runner.wake()
    bench.may_end.set()
    await closing

    assert bench.done == ["Ada"]
    assert len(await bench.rows()) == 1


async def test_shutdown_while_a_failure_is_stored_leaves_no_lease(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.add("Ada")
    bench.error = ConnectionError()
    storing, put_back = asyncio.Event(), JobRepository.put_back

    async def slow(repo: JobRepository, *arguments: Any, **values: Any) -> None:
        storing.set()
        await asyncio.sleep(0.05)  # a slow database
        await put_back(repo, *arguments, **values)

    monkeypatch.setattr(JobRepository, "put_back", slow)
    runner = bench.runner()
    runner.wake()
    await storing.wait()
    await runner.close(within=timedelta(0))

    [row] = await bench.rows()
    assert row.fault == "ConnectionError"


async def test_shutdown_does_not_wait_for_a_job_that_ignores_its_cancellation(
    bench: Bench, log_output: io.StringIO
) -> None:
    await bench.add("Ada")
    stubborn, may_end = asyncio.Event(), asyncio.Event()

    async def run(_: Greeting, __: Work) -> None:
        stubborn.set()
        while not may_end.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await may_end.wait()

    runner = JobRunner([Job(NAME, Greeting, run)], bench.app.state.collaborators, bench.database)
    runner.wake()
    await stubborn.wait()
    running = {*runner._running}

    await runner.close(within=timedelta(0))

    assert "1 ignore their cancellation" in log_output.getvalue()
    may_end.set()
    await asyncio.wait(running)


@pytest.mark.settings(JOBS_POLL_SECONDS=0.1)
async def test_a_started_runner_finds_the_jobs_of_others(bench: Bench) -> None:
    await bench.add("Ada")

    async with bench.running() as runner:
        runner.start()
        async with asyncio.timeout(LONG.total_seconds()):
            await bench.begun.wait()


@on_sqlite
async def test_a_database_that_is_away_is_logged_and_asked_again(
    bench: Bench, log_output: io.StringIO
) -> None:
    await bench.add("Ada")
    async with bench.database.sessions() as session:
        await session.execute(text("ALTER TABLE jobs RENAME TO away"))
        await session.commit()

    async with bench.running() as runner:
        await runner.join()
        assert "jobs_not_claimed" in log_output.getvalue()
        async with bench.database.sessions() as session:
            await session.execute(text("ALTER TABLE away RENAME TO jobs"))
            await session.commit()
        await runner.join()

    assert bench.done == ["Ada"]


@on_sqlite
async def test_a_failure_that_cannot_be_stored_is_logged_and_the_lease_ends(
    bench: Bench, log_output: io.StringIO
) -> None:
    await bench.add("Ada")
    bench.may_end.clear()
    bench.error = ConnectionError()

    async with bench.running() as runner:
        runner.wake()
        await bench.begun.wait()
        async with bench.database.sessions() as session:
            await session.execute(text("ALTER TABLE jobs RENAME TO away"))
            await session.commit()
        bench.may_end.set()
        await runner.join()

    assert "job_not_put_back" in log_output.getvalue()


# --- rows


class Aliased(BaseModel):
    to: str = Field(alias="toPerson")


class Secret(BaseModel):
    token: SecretStr


async def test_data_with_an_alias_arrive_as_they_were_added(bench: Bench) -> None:
    found: list[Aliased] = []

    async def run(data: Aliased, _: Work) -> None:
        found.append(data)

    job = Job("tests.aliased", Aliased, run)
    async with bench.database.sessions() as session:
        await bench.outbox(session).add(job, Aliased(toPerson="Ada"))
        await session.commit()
    runner = JobRunner([job], bench.app.state.collaborators, bench.database)
    await runner.join()
    await runner.close(within=LONG)

    assert found == [Aliased(toPerson="Ada")]


@on_sqlite
async def test_data_that_json_cannot_hold_are_refused_when_they_are_added(bench: Bench) -> None:
    """Otherwise, the job would get asterisks, and succeed."""

    async def run(_: Secret, __: Work) -> None: ...

    async with bench.database.sessions() as session:
        with pytest.raises(ValueError, match="SecretStr"):
            await bench.outbox(session).add(
                Job("tests.secret", Secret, run), Secret(token=SecretStr("s3cret"))
            )


async def test_a_job_of_another_release_stays_for_its_processes(bench: Bench) -> None:
    await bench.add("Ada")
    await bench.set_all(name="of.another.release")

    async with bench.running() as runner:
        await runner.join()

    [row] = await bench.rows()
    assert (row.attempts, row.dead_at) == (0, None)


async def test_the_data_of_a_job_are_encrypted(bench: Bench) -> None:
    """A dump of the database has no link of a pending mail."""
    await bench.add("Ada Lovelace")

    async with bench.database.read_sessions() as session:
        [row] = (await session.execute(text("SELECT * FROM jobs"))).all()

    assert "Ada" not in repr(row)
    assert row.data.startswith("gAAAA")


async def test_waiting_and_dead_jobs_do_not_slow_the_search_for_due_ones(bench: Bench) -> None:
    """An index finds them: without it, each poll would read the whole backlog."""
    async with bench.database.sessions() as session:
        now = utcnow()
        row = {"name": "tests.greet", "data": "gAAAA", "gives_up_at": now}
        model = bench.database.tables.job
        rows = [
            {
                **row,
                "public_id": new_public_id(),
                "due_at": now + timedelta(days=1),
                "dead_at": now if number % 2 else None,
            }
            for number in range(4000)
        ]
        await session.execute(insert(model), rows)
        await session.commit()
        if bench.database.engine.dialect.name == "postgresql":
            await session.execute(text("ANALYZE jobs"))
        repo = JobRepository(session, bench.database.tables)
        is_sqlite = bench.database.engine.dialect.name == "sqlite"
        due = (
            select(model.id)
            .where(*repo._is_due([NAME], now))  # the condition of both queries
            .order_by(model.due_at)
            .limit(4)
        )
        compiled = due.compile(bench.database.engine, compile_kwargs={"literal_binds": True})
        explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
        asked = f"{explain} {compiled}"
        plan = str((await session.execute(text(asked))).all())
        claimed = await repo.claim([NAME], now=now, until=now, limit=4)

    assert "ix_jobs_due_at" in plan
    assert claimed == []


def test_two_jobs_of_one_name_are_refused(bench: Bench) -> None:
    with pytest.raises(ValueError, match=r"two jobs have the name tests\.greet"):
        JobRunner([bench.job, bench.job], bench.app.state.collaborators, bench.database)


@pytest.mark.parametrize("name", ["", "x" * 101])
def test_a_name_that_its_column_cannot_hold_is_refused(bench: Bench, name: str) -> None:
    with pytest.raises(ValueError, match="1 to 100 characters"):
        Job(name, Greeting, bench._run)
