"""Sessions across two real processes on one database, as behind a load balancer."""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING

import pytest
from httpx2 import AsyncClient, RemoteProtocolError

from examples.catalogue.core.config import Settings
from examples.catalogue.db.session import Database
from examples.catalogue.project import project
from examples.catalogue.tests.api import Api
from mscr.testing.api import PASSWORD, Account
from mscr.testing.processes import AppProcess, app_processes
from mscr.testing.tokens import (
    NO_INTERVAL,
    REFRESH,
    family_of,
    live_sessions,
    refresh_at_once,
    rotated,
    what_opens,
)

if TYPE_CHECKING:
    from mscr.testing.postgres import PostgresServer

CALLERS = 20
FAMILIES = 3
DEVICES = 8
WRITERS = 50
LIMIT = "MAX_SESSIONS_PER_USER"

Clients = Sequence[AsyncClient]

pytestmark = NO_INTERVAL


# Override these fixtures with the scope of the module: a process takes a second to start.
@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def database_url(
    backend: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    if backend == "sqlite":
        path = tmp_path_factory.mktemp("shared") / "test.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite+aiosqlite:///{path}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = f"test_{secrets.token_hex(8)}"
    template = request.getfixturevalue("postgres_template")
    asyncio.run(server.create_database(name, template=template))
    yield server.url(name)
    asyncio.run(server.drop_database(name))


@pytest.fixture(scope="module")
def processes(database_url: str) -> Iterator[Sequence[AppProcess]]:
    with app_processes(
        project,
        2,
        database_url,
        # So many concurrent requests can take long on a busy machine.
        DATABASE_LOCK_TIMEOUT_SECONDS="30",
        DATABASE_POOL_TIMEOUT_SECONDS="30",
        REFRESH_TOKEN_REUSE_INTERVAL_SECONDS="0",
    ) as processes:
        yield processes


@pytest.fixture
async def clients(processes: Sequence[AppProcess]) -> AsyncIterator[Clients]:
    one, other = processes
    async with one.client() as first, other.client() as second:
        yield [first, second]


async def test_parallel_callers_at_two_processes_get_one_successor(
    api: Api, clients: Clients, database: Database
) -> None:
    """RT6: whichever process they reach; the session goes on."""
    for _ in range(FAMILIES):
        account = await api.register()
        responses = await refresh_at_once(
            clients, account.refresh_token, callers=CALLERS, database=database
        )
        assert [response.status_code for response in responses] == [200] * CALLERS
        assert len({response.json()["data"]["refresh_token"] for response in responses}) == 1
        assert (await family_of(database, account)).generation == 1
        assert (await api.me(account.access_token)).status_code == 200


async def test_replay_after_the_race_ends_the_session(
    api: Api, account: Account, clients: Clients, database: Database
) -> None:
    """RT2: the race does not excuse a later request."""
    responses = await refresh_at_once(
        clients, account.refresh_token, callers=CALLERS, database=database
    )

    replay = await clients[0].post(REFRESH, json={"refresh_token": account.refresh_token})

    assert replay.status_code == 401
    assert await what_opens(api, responses[0].json()["data"]) == []


async def test_replay_at_the_other_process_ends_the_session(api: Api, clients: Clients) -> None:
    """RT2: immediately after the response, several times."""
    there, elsewhere = clients
    for _ in range(FAMILIES):
        account = await api.register()
        body = {"refresh_token": account.refresh_token}
        tokens = (await there.post(REFRESH, json=body)).json()["data"]

        assert (await elsewhere.post(REFRESH, json=body)).status_code == 401
        assert await what_opens(api, tokens) == []


async def test_logout_at_the_other_process_wins(
    api: Api, account: Account, clients: Clients
) -> None:
    """RT10: one process refreshes while the other one logs out."""
    logins = [await api.login(account) for _ in range(DEVICES)]
    bodies = [{"refresh_token": login.refresh_token} for login in logins]

    refreshed = asyncio.gather(*[clients[0].post(REFRESH, json=body) for body in bodies])
    await asyncio.gather(*[clients[1].post("/api/v1/auth/logout", json=body) for body in bodies])

    late = [r.json()["data"] for r in await refreshed if r.status_code == 200]
    assert await what_opens(api, *late, *[login.tokens for login in logins]) == []


async def test_logins_at_two_processes_share_the_maximum_of_sessions(
    account: Account, clients: Clients, database: Database
) -> None:
    """SE4."""
    body = {"email": account.email, "password": account.password}
    calls = [clients[i % 2].post("/api/v1/auth/login", json=body) for i in range(30)]

    statuses = {response.status_code for response in await asyncio.gather(*calls)}

    assert statuses == {200}
    assert await live_sessions(database, account) == Settings.model_fields[LIMIT].default


async def test_concurrent_registrations_of_an_address_succeed_once(clients: Clients) -> None:
    """RC1: across two processes."""
    body = {"email": f"{secrets.token_hex(8)}@example.com", "password": PASSWORD}
    calls = [clients[i % 2].post("/api/v1/auth/register", json=body) for i in range(CALLERS)]

    statuses = sorted(response.status_code for response in await asyncio.gather(*calls))

    assert statuses == [201] + [409] * (CALLERS - 1)


async def test_writers_at_two_processes_all_succeed(
    api: Api, account: Account, clients: Clients
) -> None:
    """RL12: each transaction reads before it writes; on SQLite there is no "locked" error."""
    path = f"/api/v1/items/{(await api.create_item(account))['public_id']}"
    calls = [
        clients[i % 2].patch(path, json={"title": f"{i}"}, headers=account.headers)
        for i in range(WRITERS)
    ]

    statuses = {response.status_code for response in await asyncio.gather(*calls)}

    assert statuses == {200}


async def test_a_token_survives_a_process_that_dies_before_its_response(
    api: Api, account: Account, database_url: str
) -> None:
    """RL9: rotated without a response. The owner gets the successor; a later replay is reuse."""
    await _refresh_at_a_dying_process(account.refresh_token, database_url)

    tokens = await rotated(api, account.refresh_token)

    assert (await api.refresh(account.refresh_token)).status_code == 401
    assert await what_opens(api, tokens) == []


async def _refresh_at_a_dying_process(refresh_token: str, database_url: str) -> None:
    dying = "mscr.tests.support.dies_before_answering:app"
    with app_processes(project, 1, database_url, app=dying) as (process,):
        async with process.client() as client:
            with pytest.raises(RemoteProtocolError):
                await client.post(REFRESH, json={"refresh_token": refresh_token})
        assert process.wait_until_gone() < 0
