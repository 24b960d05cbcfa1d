"""The clean-ups as schedules: at night, in batches, of rows that are older than the settings."""

import asyncio
import io
from datetime import timedelta
from typing import Any, Final

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update

from examples.catalogue.models.item import Item
from examples.catalogue.models.kit_tables import AuditEvent
from examples.catalogue.models.user import User
from examples.catalogue.tests.api import Api
from mscr.db.session import Database
from mscr.jobs.outbox import Outbox
from mscr.jobs.runner import JobRunner
from mscr.models.base import utcnow
from mscr.repositories.job_repository import JobRepository
from mscr.services.cleanup_jobs import CLEAN_UP_JOBS, Batch
from mscr.testing.databases import on_sqlite
from mscr.tests.jobs.bench import LONG

at_night = pytest.mark.settings(CLEANUP_SCHEDULED=True, LOG_JSON=True)
NAMES: Final = [job.name for job in CLEAN_UP_JOBS]
AUDIT, PURGE = (
    next(job for job in CLEAN_UP_JOBS if job.name == f"mscr.{command}")
    for command in ("cleanup-audit", "purge-deleted")
)


async def schedules_of(app: FastAPI, database: Database) -> list[str]:
    app.state.jobs._may_lack_rows = bool(app.state.jobs._timetable.names)
    await app.state.jobs.join()
    async with database.read_sessions() as session:
        job = database.tables.job
        return [str(name) for name in await session.scalars(select(job.schedule).order_by(job.id))]


async def add(app: FastAPI, database: Database, job: Any, batch: Batch) -> None:
    async with database.sessions() as session:
        repo = JobRepository(session, database.tables)
        await Outbox(repo, app.state.collaborators.encryption).add(job, batch)
        await session.commit()


async def age_events(api: Api, database: Database, *, days: float) -> int:
    """Register three users, and return how many events that has left, all of this age."""
    for _ in range(3):
        await api.register()
    async with database.sessions() as session:
        aged = update(AuditEvent).values(occurred_at=utcnow() - timedelta(days=days))
        await session.execute(aged)
        await session.commit()
        return int(await session.scalar(select(func.count(AuditEvent.id))) or 0)


async def events_of(database: Database) -> list[tuple[str, str, str]]:
    async with database.read_sessions() as session:
        found = await session.scalars(select(AuditEvent).order_by(AuditEvent.id))
        return [(event.action, event.operation, event.address) for event in found]


@at_night
async def test_all_clean_ups_are_scheduled_at_night(app: FastAPI, database: Database) -> None:
    """RL16."""
    assert await schedules_of(app, database) == [f"{name} daily 03:00:00" for name in NAMES]


@pytest.mark.settings(CLEANUP_SCHEDULED=False)
async def test_clean_ups_can_be_switched_off(app: FastAPI, database: Database) -> None:
    assert await schedules_of(app, database) == []


@at_night
async def test_every_clean_up_runs_on_an_empty_database(
    app: FastAPI, log_output: io.StringIO
) -> None:
    for job in CLEAN_UP_JOBS:
        await app.state.jobs.run_now(job)

    printed = log_output.getvalue()
    assert printed.count("cleaned_up") == printed.count("job_done") == len(CLEAN_UP_JOBS)
    assert "job_failed" not in printed


@at_night
async def test_a_clean_up_deletes_batch_after_batch_and_is_audited_once(
    api: Api, app: FastAPI, database: Database, log_output: io.StringIO
) -> None:
    """RL16."""
    count = await age_events(api, database, days=366)
    await add(app, database, AUDIT, Batch(size=2))
    await app.state.jobs.join()

    [event] = await events_of(database)
    assert event == ("cleanup_audit", "cleanup-audit --older-than-days=365", "schedule")
    assert log_output.getvalue().count("cleaned_up") == count // 2 + 1


@at_night
async def test_a_clean_up_that_deletes_nothing_is_not_audited(
    api: Api, app: FastAPI, database: Database
) -> None:
    count = await age_events(api, database, days=364)
    await app.state.jobs.run_now(AUDIT)

    assert [action for action, *_ in await events_of(database)] == ["register"] * count


@pytest.mark.settings(CLEANUP_SCHEDULED=True, AUDIT_RETENTION_DAYS=10)
async def test_a_clean_up_keeps_rows_as_long_as_the_settings_say(
    api: Api, app: FastAPI, database: Database
) -> None:
    await age_events(api, database, days=11)
    await app.state.jobs.run_now(AUDIT)

    assert [action for action, *_ in await events_of(database)] == ["cleanup_audit"]


@at_night
async def test_deleted_rows_of_every_table_are_purged_in_batches(
    api: Api, app: FastAPI, database: Database
) -> None:
    """RL16."""
    owner = await api.register()
    for number in range(3):
        body = {"title": f"Item {number}"}
        await api.client.post("/api/v1/items", json=body, headers=owner.headers)
    async with database.sessions() as session:
        gone = {"is_deleted": True, "deleted_at": utcnow() - timedelta(days=31)}
        await session.execute(update(Item).values(**gone))
        await session.execute(update(User).values(**gone))
        await session.commit()

    await add(app, database, PURGE, Batch(size=2))
    await app.state.jobs.join()

    async with database.read_sessions() as session:
        assert await session.scalar(select(func.count(Item.id))) == 0
        assert await session.scalar(select(func.count(User.id))) == 0
    assert [action for action, *_ in await events_of(database)] == ["register", "purge_deleted"]


@at_night
async def test_a_retry_takes_a_smaller_batch(
    api: Api, app: FastAPI, database: Database, log_output: io.StringIO
) -> None:
    """The limit of a statement's time may be too short for the rows that depend on many."""
    await age_events(api, database, days=366)
    await add(app, database, AUDIT, Batch(size=4))
    async with database.sessions() as session:
        await session.execute(update(database.tables.job).values(attempts=1))
        await session.commit()
    await app.state.jobs.join()

    assert log_output.getvalue().count('"rows":1') == 3
    assert len(await events_of(database)) == 1


@at_night
async def test_a_clean_up_may_run_twice_at_once(
    api: Api, app: FastAPI, database: Database, log_output: io.StringIO
) -> None:
    """RL16."""
    await age_events(api, database, days=366)
    runners = [JobRunner(CLEAN_UP_JOBS, app.state.collaborators, database) for _ in range(2)]
    for _ in runners:
        await add(app, database, AUDIT, Batch(size=1))
    await asyncio.gather(*(runner.join() for runner in runners))
    for runner in runners:
        await runner.join()
        await runner.close(within=LONG)

    assert {action for action, *_ in await events_of(database)} == {"cleanup_audit"}
    assert "job_failed" not in log_output.getvalue()


@on_sqlite
@pytest.mark.settings(CLEANUP_SCHEDULED=False)
async def test_batches_that_wait_are_done_although_clean_ups_are_switched_off(
    api: Api, app: FastAPI, database: Database
) -> None:
    await age_events(api, database, days=366)
    await add(app, database, AUDIT, Batch())
    await app.state.jobs.join()

    assert len(await events_of(database)) == 1
