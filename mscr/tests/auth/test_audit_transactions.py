"""AU2: an audit event commits nothing but itself, or the change that it belongs to."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from examples.catalogue.core.config import Settings
from examples.catalogue.db.session import Database
from examples.catalogue.models.kit_tables import AuditEvent
from examples.catalogue.models.tables import TABLES
from examples.catalogue.repositories.item_repository import ItemRepository
from examples.catalogue.repositories.user_repository import UserRepository
from examples.catalogue.tests.api import Api
from mscr.core.client import Client, Origin
from mscr.core.exceptions import ConflictError
from mscr.core.rate_limit import RequestLimiter
from mscr.endpoints.audit import Audit
from mscr.endpoints.callers import CurrentUserId
from mscr.endpoints.database import DbSession
from mscr.models.audit_event import AuditAction
from mscr.repositories.audit_event_repository import AuditEventRepository
from mscr.services.audit_event_service import NOBODY, AuditTrail
from mscr.testing.api import Account
from mscr.testing.databases import checked_out
from mscr.testing.problems import problem


@pytest.fixture
async def users(database: Database) -> AsyncIterator[UserRepository]:
    async with database.sessions() as session:
        yield UserRepository(session)


@pytest.fixture
def trail(users: UserRepository, settings: Settings) -> AuditTrail:
    """Return a trail in the transaction of `users`."""
    repo = AuditEventRepository(users.session, TABLES)
    return AuditTrail(
        repo, Origin(Client("a test", None), "test"), requests=RequestLimiter(settings)
    )


async def stored(database: Database) -> tuple[int, list[str | None]]:
    """Return the number of users, and the reasons of all audit events."""
    async with database.read_sessions() as session:
        events = await AuditEventRepository(session, TABLES).list()
        return await UserRepository(session).count(), [event.reason for event in events]


async def add_user(users: UserRepository) -> None:
    await users.create_account(email="ada@example.com", password_hash="!")


async def test_a_refusal_does_not_commit_half_finished_work(
    users: UserRepository, trail: AuditTrail, database: Database
) -> None:
    await add_user(users)

    await trail.refuse(AuditAction.ACCESS, "not_today", NOBODY)

    assert await stored(database) == (0, ["not_today"])


async def test_a_refusal_that_clients_can_repeat_does_not_commit_it_either(
    users: UserRepository, trail: AuditTrail, database: Database
) -> None:
    await add_user(users)

    await trail.refuse(AuditAction.ACCESS, "not_today", NOBODY, once_for="somebody")

    assert await stored(database) == (0, ["not_today"])


@pytest.mark.settings(DATABASE_POOL_SIZE=1, DATABASE_POOL_TIMEOUT_SECONDS=1)
async def test_a_refusal_takes_no_second_connection(
    users: UserRepository, trail: AuditTrail, database: Database
) -> None:
    """It could wait for the locks of the first: on SQLite, any write would."""
    await add_user(users)
    assert checked_out(database) == 1

    await trail.refuse(AuditAction.ACCESS, "not_today", NOBODY)

    assert await stored(database) == (0, ["not_today"])


async def test_a_refusal_that_changes_something_is_committed_with_the_change(
    users: UserRepository, trail: AuditTrail, database: Database
) -> None:
    await add_user(users)
    await trail.record_refusal(AuditAction.ACCESS, "not_today", NOBODY)
    before = await stored(database)
    await users.commit()

    assert before == (0, [])
    assert await stored(database) == (1, ["not_today"])


async def test_a_change_and_its_refusal_are_rolled_back_together(
    users: UserRepository, trail: AuditTrail, database: Database
) -> None:
    await add_user(users)
    await trail.record_refusal(AuditAction.ACCESS, "not_today", NOBODY)
    await users.rollback()

    assert await stored(database) == (0, [])


async def test_a_refused_request_stores_its_refusal_alone(
    api: Api, app: FastAPI, account: Account, database: Database
) -> None:
    """As a route of an application would write it: something, and then a rule that refuses."""

    @app.post("/halves")
    async def create_half(db: DbSession, owner_id: CurrentUserId, audit: Audit) -> None:
        await ItemRepository(db).create(owner_id=owner_id, title="Half")
        await audit.refuse(AuditAction.ACCESS, "no_halves", NOBODY)
        raise ConflictError

    problem(await api.client.post("/halves", headers=account.headers), 409, "conflict")

    async with database.read_sessions() as session:
        assert await ItemRepository(session).count() == 0
        refused = await AuditEventRepository(session, TABLES).list(reason="no_halves")
    assert [type(event) for event in refused] == [AuditEvent]
