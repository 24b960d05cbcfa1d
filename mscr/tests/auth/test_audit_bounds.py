"""Limits on how much of the audit log, and of users' rate limits, a stranger can use up."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from examples.catalogue.core.config import Settings
from examples.catalogue.core.permissions import Permission
from examples.catalogue.db.session import Database
from examples.catalogue.models.kit_tables import AuditEvent
from examples.catalogue.models.tables import TABLES
from examples.catalogue.tests.api import Api
from mscr.core.client import Client, Origin
from mscr.core.rate_limit import RequestLimiter
from mscr.core.security.principal import Principal
from mscr.endpoints.permissions import RecentPrincipal, require_permission
from mscr.models.audit_event import AuditAction
from mscr.repositories.audit_event_repository import AuditEventRepository
from mscr.services.audit_event_service import NOBODY, AuditTrail
from mscr.testing.api import Account
from mscr.testing.applications import client_from
from mscr.testing.databases import on_sqlite
from mscr.testing.table_rows import all_rows

# The counters are in memory: the database makes no difference.
pytestmark = on_sqlite

four_of_an_address = pytest.mark.settings(
    RATE_LIMIT_ENABLED=True, AUTH_RATE_LIMIT_ADDRESS="4/minute", REFRESH_RATE_LIMIT_ADDRESS="4/hour"
)
three_requests = pytest.mark.settings(RATE_LIMIT_ENABLED=True, API_RATE_LIMIT="3/minute")


Reader = Annotated[Principal, require_permission(Permission.USERS_READ)]
Auditor = Annotated[Principal, require_permission(Permission.AUDIT_READ)]


async def reasons(database: Database) -> list[str]:
    """Return the reasons of the refusals in the audit log, in order."""
    column = list(AuditEvent.__table__.columns.keys()).index("reason")
    return [row[column] for row in (await all_rows(database))["audit_events"] if row[column]]


@asynccontextmanager
async def neighbour(number: int, app: FastAPI, database: Database) -> AsyncIterator[Api]:
    """Send from an address of one /64: a client that has one of them can use any of them."""
    async with client_from(f"2001:db8::{number:x}", app) as client:
        yield Api(client, database)


@four_of_an_address
async def test_a_flood_of_logins_adds_one_rate_limit_event(api: Api, database: Database) -> None:
    """AU3: although each login names another account."""
    statuses = [(await api.try_login(f"{n}@example.com", "a guess")).status_code for n in range(12)]

    assert statuses == [401] * 4 + [429] * 8
    assert await reasons(database) == ["unknown_account"] * 4 + ["too_many_requests"]


@four_of_an_address
async def test_logins_and_refreshes_of_an_ipv6_network_are_counted_as_one_client(
    app: FastAPI, database: Database
) -> None:
    """LG4, AU3: each login and each refresh comes from another address of the /64."""
    statuses = []
    for number in range(12):
        async with neighbour(number, app, database) as api:
            login = await api.try_login("victim@example.com", "a guess")
            statuses.append((login.status_code, (await api.refresh("garbage")).status_code))

    assert statuses == [(401, 401)] * 4 + [(429, 429)] * 8
    assert (await reasons(database)).count("too_many_requests") == 2


@three_requests
async def test_requests_of_an_ipv6_network_without_tokens_are_counted_as_one_client(
    app: FastAPI, database: Database
) -> None:
    """LG4."""
    statuses = []
    for number in range(4):
        async with neighbour(number, app, database) as api:
            statuses.append((await api.me("garbage")).status_code)

    assert statuses == [401, 401, 401, 429]


@three_requests
async def test_a_token_of_an_ended_session_does_not_use_up_its_owners_limit(
    api: Api, account: Account
) -> None:
    """LG5: it uses up the limit of the client's address instead."""
    await api.client.post("/api/v1/auth/logout-all", headers=account.headers)
    stolen = [(await api.me(account.access_token)).status_code for _ in range(4)]
    anew = await api.login(account)

    assert stolen == [401, 401, 401, 429]
    assert (await api.me(anew.access_token)).status_code == 200


@three_requests
async def test_a_request_is_counted_once_on_a_route_with_several_guards(
    api: Api, app: FastAPI
) -> None:
    @app.get("/guarded")
    async def guarded(reader: Reader, auditor: Auditor, recent: RecentPrincipal) -> None: ...

    admin = await api.register_admin()
    answers = [await api.client.get("/guarded", headers=admin.headers) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]


@pytest.mark.settings(RATE_LIMIT_ENABLED=True, DATABASE_LOCK_TIMEOUT_SECONDS=0.1)
async def test_a_refusal_that_could_not_be_recorded_is_recorded_the_next_time(
    api: Api, account: Account, database: Database
) -> None:
    """AU3: another transaction holds the write lock."""
    async with database.sessions() as other:
        await other.execute(text("UPDATE users SET is_active = is_active"))
        locked = await api.client.get("/api/v1/users", headers=account.headers)
    free = [await api.client.get("/api/v1/users", headers=account.headers) for _ in range(2)]

    assert [locked.status_code, *(r.status_code for r in free)] == [503, 403, 403]
    assert await reasons(database) == ["permission_missing"]


class WatchedLimiter(RequestLimiter):
    """Record how many database connections are checked out while it counts."""

    def __init__(self, settings: Settings, database: Database) -> None:
        super().__init__(settings)
        self._pool = database.engine.pool
        self.waiting: list[str] = []

    async def is_news(self, *subject: str) -> bool:
        self.waiting.append(self._pool.status())
        return await super().is_news(*subject)


@pytest.mark.settings(RATE_LIMIT_ENABLED=True)
async def test_no_database_connection_is_held_while_counting(
    settings: Settings, database: Database
) -> None:
    """AU3, RL4: the store may be slow, and would starve the connection pool."""
    limiter = WatchedLimiter(settings, database)
    async with database.sessions() as session:
        repo = AuditEventRepository(session, TABLES)
        await repo.count()
        idle = database.engine.pool.status()
        trail = AuditTrail(repo, Origin(Client("a test", None), "test"), requests=limiter)
        await trail.refuse(AuditAction.ACCESS, "permission_missing", NOBODY, once_for="somebody")

    assert "Current Checked out connections: 1" in idle
    assert ["Current Checked out connections: 0" in status for status in limiter.waiting] == [True]
