"""The outbox, as administrators see it: list jobs, and decide about dead ones."""

from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

import pytest
from fastapi import FastAPI
from sqlalchemy import insert, select, text

from examples.catalogue.db.session import Database
from examples.catalogue.models.kit_tables import Job as JobRow
from examples.catalogue.tests.api import Api
from mscr.jobs.outbox import Outbox
from mscr.mail.message import Mail
from mscr.models.base import new_public_id, utcnow
from mscr.repositories.job_repository import JobRepository
from mscr.testing.api import Account
from mscr.testing.databases import on_sqlite
from mscr.testing.problems import faulty_fields, problem
from mscr.testing.tokens import session_id
from mscr.testing.waiting import until
from mscr.testing.walking import fetch, walk

JOBS: Final = "/api/v1/jobs"
CANARY: Final = "canary@example.com"


@pytest.fixture
async def admin(api: Api) -> Account:
    return await api.register_admin()


async def add(app: FastAPI, database: Database, *, dead: bool = False, minutes: int = 10) -> str:
    """Add a mail that is due in some minutes, or is dead since then."""
    async with database.sessions() as session:
        outbox = Outbox(
            JobRepository(session, database.tables),
            app.state.collaborators.encryption,
            request_id="order-66",
            trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        )
        public_id = await outbox.add_mail(Mail(CANARY, CANARY, CANARY))
        row = (await session.scalars(select(JobRow).filter_by(public_id=public_id))).one()
        row.due_at = utcnow() + timedelta(minutes=minutes)
        if dead:
            row.dead_at, row.fault, row.attempts = utcnow(), "OSError", 3
            row.gives_up_at = utcnow()
        await session.commit()
    return public_id


async def listed(api: Api, admin: Account, **query: Any) -> list[str]:
    return [row["public_id"] for row in (await fetch(api, admin, JOBS, **query))["data"]]


async def rows(database: Database) -> list[JobRow]:
    async with database.read_sessions() as session:
        return [*await session.scalars(select(JobRow).order_by(JobRow.id))]


async def decisions(api: Api, admin: Account) -> list[tuple[str, ...]]:
    events = (await fetch(api, admin, "/api/v1/audit-events"))["data"]
    return [
        (
            event["action"],
            event["reason"],
            event["operation"],
            event["actor_public_id"],
            event["session_public_id"],
        )
        for event in events
        if event["action"].endswith("_job")
    ]


async def test_jobs_are_listed_without_their_data(
    api: Api, app: FastAPI, database: Database, admin: Account
) -> None:
    dead = await add(app, database, dead=True)

    response = await api.client.get(JOBS, headers=admin.headers)

    [shown] = response.json()["data"]
    assert CANARY not in response.text
    assert "gAAAA" not in response.text
    for time in ("due_at", "gives_up_at", "dead_at"):
        assert shown.pop(time)
    assert shown == {
        "public_id": dead,
        "name": "mscr.send_mail",
        "state": "dead",
        "attempts": 3,
        "fault": "OSError",
        "schedule": None,
        "request_id": "order-66",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    }


async def test_jobs_are_filtered_by_state_and_name_and_sorted_by_their_time(
    api: Api, app: FastAPI, database: Database, admin: Account
) -> None:
    late, dead, soon = [
        await add(app, database, minutes=minutes, dead=is_dead)
        for minutes, is_dead in ((30, False), (20, True), (10, False))
    ]

    assert await listed(api, admin) == [soon, dead, late]
    assert await listed(api, admin, sort="-due_at") == [late, dead, soon]
    assert await listed(api, admin, state="waiting") == [soon, late]
    assert await listed(api, admin, state="dead") == [dead]
    assert await listed(api, admin, name="mscr.send_mail", state="dead") == [dead]
    assert await listed(api, admin, name="another") == []
    assert (await fetch(api, admin, JOBS))["meta"]["total"] == 3


async def test_a_cursor_walks_through_all_jobs_once(
    api: Api, app: FastAPI, database: Database, admin: Account
) -> None:
    added = [
        await add(app, database, minutes=10 + number // 2, dead=number % 3 == 0)
        for number in range(7)
    ]

    walked = await walk(api, admin, JOBS, limit=2)

    assert sorted(row["public_id"] for row in walked) == sorted(added)
    assert [row["due_at"] for row in walked] == sorted(row["due_at"] for row in walked)


@on_sqlite
@pytest.mark.parametrize("query", [{"state": "alive"}, {"name": "n" * 101}, {"sort": "data"}])
async def test_another_filter_is_refused(api: Api, admin: Account, query: dict[str, str]) -> None:
    response = await api.client.get(JOBS, params=query, headers=admin.headers)

    assert faulty_fields(response) == [["query", *query]]


async def test_a_backlog_does_not_slow_the_list(
    api: Api, app: FastAPI, database: Database, admin: Account
) -> None:
    """Each state has an index in the order of the list: no page sorts or reads all rows."""
    now = utcnow()
    async with database.sessions() as session:
        values = [
            {
                "public_id": new_public_id(),
                "name": "tests.backlog",
                "data": "gAAAA",
                "due_at": now + timedelta(days=1, seconds=number),
                "gives_up_at": now,
                "dead_at": now if number % 2 else None,
            }
            for number in range(4000)
        ]
        await session.execute(insert(JobRow), values)
        await session.commit()
        if database.engine.dialect.name == "postgresql":
            await session.execute(text("ANALYZE jobs"))
        plans = [await plan_of(session, condition) for condition in ("IS NULL", "IS NOT NULL")]

    assert "ix_jobs_due_at" in plans[0]
    assert "ix_jobs_dead" in plans[1]
    assert len(await listed(api, admin, per_page=100)) == 100


async def plan_of(session: Any, condition: str) -> str:
    explain = "EXPLAIN" if "postgresql" in str(session.bind.dialect) else "EXPLAIN QUERY PLAN"
    statement = f"SELECT * FROM jobs WHERE dead_at {condition} ORDER BY due_at LIMIT 20"  # noqa: S608  # ours
    return str((await session.execute(text(f"{explain} {statement}"))).all())


# --- decisions


async def test_a_dead_job_is_retried(
    api: Api, app: FastAPI, database: Database, admin: Account
) -> None:
    dead, other = [await add(app, database, dead=True) for _ in range(2)]
    path = f"{JOBS}/{dead}/retry"
    response = await api.client.post(path, headers=admin.headers)

    async def is_done() -> bool:
        return len(await rows(database)) == 1

    await until(is_done)
    assert response.status_code == 200
    assert (response.json()["data"]["state"], response.json()["data"]["dead_at"]) == (
        "waiting",
        None,
    )
    assert [row.public_id for row in await rows(database)] == [other]
    assert await decisions(api, admin) == [
        ("retry_job", f"job {dead}", "retry_job", admin.public_id, session_id(admin.tokens))
    ]


@pytest.mark.settings(JOBS_IN_PROCESS=False)
async def test_a_retried_job_waits_for_a_worker_and_has_a_day(
    api: Api, app: FastAPI, database: Database, admin: Account
) -> None:
    dead = await add(app, database, dead=True)
    await api.client.post(f"{JOBS}/{dead}/retry", headers=admin.headers)

    [row] = await rows(database)
    assert (row.dead_at, row.due_at <= utcnow()) == (None, True)
    assert timedelta(hours=23) < row.gives_up_at - utcnow() <= timedelta(days=1)


async def test_a_dead_job_is_dropped(
    api: Api, app: FastAPI, database: Database, admin: Account
) -> None:
    dead, other = [await add(app, database, dead=True) for _ in range(2)]
    response = await api.client.delete(f"{JOBS}/{dead}", headers=admin.headers)

    assert (response.status_code, response.content) == (204, b"")
    assert [row.public_id for row in await rows(database)] == [other]
    assert await decisions(api, admin) == [
        ("drop_job", f"job {dead}", "drop_job", admin.public_id, session_id(admin.tokens))
    ]


@pytest.mark.parametrize(("method", "action"), [("POST", "/retry"), ("DELETE", "")])
async def test_a_job_that_is_not_dead_is_left_alone(
    api: Api, app: FastAPI, database: Database, admin: Account, method: str, action: str
) -> None:
    """A process may be running it."""
    waiting = await add(app, database)
    refused = await api.client.request(method, f"{JOBS}/{waiting}{action}", headers=admin.headers)
    unknown = await api.client.request(method, f"{JOBS}/{uuid4()}{action}", headers=admin.headers)

    problem(refused, 409, "job_not_dead")
    problem(unknown, 404, "not_found")
    [row] = await rows(database)
    assert (row.public_id, row.due_at > utcnow()) == (waiting, True)
    assert await decisions(api, admin) == []


async def test_others_neither_see_jobs_nor_decide_about_them(
    api: Api, app: FastAPI, database: Database
) -> None:
    """AZ1."""
    user = await api.register()
    dead = await add(app, database, dead=True)

    for method, path in (
        ("GET", JOBS),
        ("POST", f"{JOBS}/{dead}/retry"),
        ("DELETE", f"{JOBS}/{dead}"),
    ):
        refused = await api.client.request(method, path, headers=user.headers)
        problem(refused, 403, "forbidden")
        assert CANARY not in refused.text
        assert (await api.client.request(method, path)).status_code == 401
    [row] = await rows(database)
    assert row.dead_at is not None
