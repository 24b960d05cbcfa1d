"""The shared store (Valkey, Redis) of attempt counters: its content, and its outages."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
from httpx2 import Response
from pydantic import SecretStr
from redis.asyncio import Redis
from structlog.testing import capture_logs

from examples.catalogue.core.config import Settings
from examples.catalogue.main import create_app
from examples.catalogue.tests.api import Api
from mscr.core import rate_limit
from mscr.testing.api import PASSWORD, Account
from mscr.testing.applications import running
from mscr.testing.databases import on_sqlite
from mscr.testing.problems import problem
from mscr.testing.valkey import ValkeyServer
from mscr.testing.waiting import until

# Shorter than the library's 5 s, as the test of a hanging store waits this long. Much longer than a
# reply takes on a busy machine.
PATIENCE_SECONDS = 1

pytestmark = [on_sqlite, pytest.mark.settings(RATE_LIMIT_ENABLED=True)]
each_step = pytest.mark.parametrize("step", ["login", "guess", "register"])


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ValkeyServer]:
    """Start a store for this test alone, which may stop it."""
    monkeypatch.delenv(ValkeyServer.variable, raising=False)
    with ValkeyServer() as server:
        yield server


@pytest.fixture
def settings(settings: Settings, store: ValkeyServer) -> Settings:
    url = SecretStr(f"{store.url}&socket_timeout={PATIENCE_SECONDS}")
    return settings.model_copy(update={"REDIS_URL": url})


@pytest.fixture
async def redis(store: ValkeyServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(store.url) as client:
        yield client


@each_step
async def test_returns_503_when_the_store_is_down(
    api: Api, account: Account, store: ValkeyServer, step: str
) -> None:
    """LG4: fail closed, so that an outage allows no unlimited guessing."""
    store.stop()

    assert_unavailable(await attempt(api, account, step))


@each_step
async def test_returns_503_when_the_store_hangs(
    api: Api, account: Account, redis: Redis, step: str
) -> None:
    """LG4: the store accepts connections and hangs."""
    await redis.client_pause(int(PATIENCE_SECONDS * 5_000))

    assert_unavailable(await attempt(api, account, step))


async def test_returns_503_when_the_store_is_full(api: Api, account: Account, redis: Redis) -> None:
    """LG4: the store's memory is full."""
    await redis.config_set("maxmemory", 1)

    with capture_logs() as events:
        assert_unavailable(await attempt(api, account, "login"))
    [told] = [event for event in events if "maxmemory" in str(event.get("reason"))]
    assert told["event"] == "service_unavailable"


@pytest.mark.settings(RATE_LIMIT_ENABLED=True, RATE_LIMIT_FAIL_OPEN=True)
async def test_login_fails_open_without_the_store_if_configured(
    api: Api, account: Account, store: ValkeyServer
) -> None:
    """LG4: each process counts on its own meanwhile."""
    store.stop()
    statuses = [(await attempt(api, account, step)).status_code for step in ("guess", "login")]
    statuses += [(await attempt(api, account, "guess")).status_code for _ in range(6)]

    assert statuses == [401, 200, 401, 401, 401, 401, 401, 429]


@pytest.mark.settings(RATE_LIMIT_ENABLED=True, RATE_LIMIT_FAIL_OPEN=True)
async def test_logins_that_fail_open_wait_once_for_a_hanging_store(
    api: Api, account: Account, redis: Redis
) -> None:
    """LG4: not once for each counter, nor for each attempt."""
    await redis.client_pause(int(PATIENCE_SECONDS * 20_000))

    with capture_logs() as events:
        statuses = [(await attempt(api, account, "login")).status_code for _ in range(3)]

    assert statuses == [200] * 3
    assert [event["event"] for event in events].count("limit_store_error") == 1


async def test_existing_sessions_work_without_the_store(
    api: Api, account: Account, store: ValkeyServer
) -> None:
    store.stop()

    assert (await api.me(account.access_token)).status_code == 200
    assert (await api.refresh(account.refresh_token)).status_code == 200


@pytest.mark.settings(RATE_LIMIT_ENABLED=True, API_RATE_LIMIT="3/minute")
async def test_requests_are_counted_per_process_without_the_store(
    api: Api, account: Account, store: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LG4: the store counts again once it is back, even if it lost its counters."""
    monkeypatch.setattr(rate_limit, "STORE_PAUSE", timedelta())
    await api.me(account.access_token)
    store.stop()
    without = [(await api.me(account.access_token)).status_code for _ in range(4)]
    store.start()

    assert without == [200, 200, 200, 429]
    assert (await api.me(account.access_token)).status_code == 200


async def test_a_hanging_store_is_tried_only_once_in_a_while(
    api: Api, account: Account, redis: Redis
) -> None:
    """LG4: the next requests do not wait for it."""
    await redis.client_pause(int(PATIENCE_SECONDS * 20_000))

    with capture_logs() as events:
        statuses = [(await api.me(account.access_token)).status_code for _ in range(5)]

    assert statuses == [200] * 5
    assert [event["event"] for event in events].count("limit_store_error") == 1


async def test_login_works_again_when_the_store_is_back(
    api: Api, account: Account, store: ValkeyServer
) -> None:
    """LG4: it has lost its counters and our scripts."""
    store.stop()
    await attempt(api, account, "login")
    store.start()

    assert (await attempt(api, account, "login")).status_code == 200


async def test_shutdown_closes_the_connections_to_the_store(
    settings: Settings, redis: Redis
) -> None:
    async with running(create_app(settings)) as client:
        await client.post("/api/v1/auth/login", json={"email": "a", "password": "guess"})
        assert len(await redis.client_list()) == 2

    async def is_alone() -> bool:
        return len(await redis.client_list()) == 1

    await until(is_alone)


async def test_every_counter_expires(api: Api, account: Account, redis: Redis) -> None:
    """LG4: otherwise the store would fill up, and an account would stay locked forever."""
    await api.try_login(account.email, "wrong password")
    keys = await redis.keys()

    assert len(keys) == 2
    assert all([0 < await redis.ttl(key) <= 15 * 60 for key in keys])


async def test_the_store_holds_no_personal_data(api: Api, account: Account, redis: Redis) -> None:
    await api.try_login(account.email, "wrong password")
    text = repr([(key, await redis.get(key)) for key in await redis.keys()])

    assert account.email not in text
    assert "127.0.0.1" not in text


def assert_unavailable(response: Response) -> None:
    problem(response, 503, "service_unavailable")
    assert int(response.headers["retry-after"]) > 0


async def attempt(api: Api, account: Account, step: str) -> Response:
    path, email, password = {
        "login": ("login", account.email, account.password),
        "guess": ("login", account.email, "wrong password"),
        "register": ("register", "new@example.com", PASSWORD),
    }[step]
    body = {"email": email, "password": password}
    return await api.client.post(f"/api/v1/auth/{path}", json=body)
