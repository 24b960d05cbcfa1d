"""Restarts lose no request: on direct connections, and behind the proxies of `deploy/`."""

import asyncio
import json
import re
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import httpx2
import pytest

from examples.catalogue.core.config import Settings
from mscr.testing.postgres import PostgresServer
from mscr.testing.processes import free_port
from mscr.testing.valkey import ValkeyServer
from mscr.testing.waiting import connection_to
from mscr.tests.data.faults import migrated_database, private_server
from mscr.tests.deploy.haproxy import HAProxy
from mscr.tests.deploy.load import Load, in_turns
from mscr.tests.deploy.nginx import Nginx
from mscr.tests.support.paths import CLI, REPOSITORY

DEPLOY: Final = REPOSITORY / "deploy"
PATIENCE_SECONDS: Final = 90
# The time until HAProxy's next health check, on a busy machine. An orchestrator waits as long
# before it stops the next instance (`minReadySeconds` in Kubernetes).
NOTICED_SECONDS: Final = 3
# A migration of the next release, run while the current release serves.
MIGRATION: Final = (
    "ALTER TABLE items ADD COLUMN note varchar(50)",
    "ALTER TABLE users ALTER COLUMN full_name TYPE varchar(300)",
)
GET_LIVE: Final = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Instance:
    """The command `serve` on a port of its own, which can be restarted."""

    def __init__(self, settings: dict[str, str], log: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._settings = {**settings, "PORT": str(self.port), "LOG_JSON": "true"}
        self._log = log

    async def start(self) -> None:
        command = [*CLI, "serve"]
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, cwd=REPOSITORY, env=self._settings, stdout=log, stderr=log
            )
        async with httpx2.AsyncClient(trust_env=False, timeout=30) as client:

            async def is_ready() -> bool:
                with suppress(httpx2.HTTPError):
                    return (await client.get(f"{self.url}/health/ready")).status_code == 200
                return False

            await self.wait_until(is_ready)

    async def wait_until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Poll for a condition in another process, which sends no event."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await condition():
                assert self._process.returncode is None, self.output
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._process.wait()

    def send(self, sent: signal.Signals) -> None:
        self._process.send_signal(sent)

    @property
    def output(self) -> str:
        return self._log.read_text()

    async def __aenter__(self) -> "Instance":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with private_server() as own:
        yield own


@pytest.fixture
async def database_url(server: PostgresServer) -> AsyncIterator[str]:
    """Yield the URL of a database that only this test migrates."""
    async with migrated_database(server) as url:
        yield url


def production(database_url: str, store: ValkeyServer, **settings: str) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "ENV_FILE": "/dev/null",
        "ENVIRONMENT": "production",
        "DATABASE_URL": database_url,
        "REDIS_URL": store.url,
        "SECRET_KEY": secrets.token_urlsafe(48),
        "JWT_SECRET_KEY": secrets.token_urlsafe(48),
        "API_RATE_LIMIT": "1000000/minute",
        "AUTH_RATE_LIMIT_ADDRESS": "1000/minute",
        "TRUSTED_PROXIES": "127.0.0.1",
        "ACCESS_LOG": "false",
        **settings,
    }


# --- direct connections


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("workers", "stops"),
    [
        (2, 1),
        pytest.param(1, 20, marks=pytest.mark.long),
        pytest.param(2, 20, marks=pytest.mark.long),
    ],
)
async def test_a_stop_resets_no_connection(
    database_url: str, valkey: ValkeyServer, tmp_path: Path, workers: int, stops: int
) -> None:
    settings = production(database_url, valkey, WEB_CONCURRENCY=str(workers), DRAIN_SECONDS="1")
    instance = Instance(settings, tmp_path / "log")
    async with instance, Load(instance.port, in_turns(GET_LIVE), clients=24) as load:
        for number in range(stops):
            if number:
                await instance.start()
            await asyncio.sleep(0.5)
            await instance.stop()

    assert load.failed == {}, load.outcomes
    assert load.outcomes["200"] > 50 * stops


@pytest.mark.long
async def test_replacing_the_workers_loses_no_request(
    database_url: str, valkey: ValkeyServer, tmp_path: Path
) -> None:
    settings = production(database_url, valkey, WEB_CONCURRENCY="2", DRAIN_SECONDS="1")
    instance = Instance(settings, tmp_path / "log")
    async with instance, Load(instance.port, in_turns(GET_LIVE), clients=12) as load:
        instance.send(signal.SIGHUP)

        async def are_replaced() -> bool:
            return instance.output.count("Application shutdown complete") == 2

        await instance.wait_until(are_replaced)

    assert load.failed == {}, load.outcomes
    # The port is never closed.
    assert load.outcomes["connection refused"] == 0


# --- behind proxies


def configured(name: str, port: int, instances: list[Instance]) -> str:
    """Return a configuration file of `deploy/`, changed to these ports."""
    text = (DEPLOY / name).read_text()
    ports = {"80": port, "8000": instances[0].port, "8001": instances[1].port}
    return re.sub(r"127\.0\.0\.1:(80|8000|8001)\b", lambda m: f"127.0.0.1:{ports[m[1]]}", text)


async def log_in(url: str) -> str:
    body = {"email": f"{secrets.token_hex(8)}@example.com", "password": secrets.token_urlsafe(16)}
    async with httpx2.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
        answer = await client.post("/api/v1/auth/register", json=body)
        answer = await client.post("/api/v1/auth/login", json=body)
    return str(answer.json()["data"]["access_token"])


def reads_and_writes(token: str) -> tuple[bytes, bytes, bytes]:
    head = f"HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
    body = json.dumps({"title": "Buy milk", "status": "active"})
    sent = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    me, items = f"GET /api/v1/users/me {head}\r\n", f"GET /api/v1/items?per_page=5 {head}\r\n"
    return me.encode(), items.encode(), f"POST /api/v1/items {head}{sent}".encode()


async def migrate(database_url: str) -> None:
    async with connection_to(database_url) as connection:
        for statement in MIGRATION:
            await connection.exec_driver_sql(statement)


@asynccontextmanager
async def two_instances(settings: dict[str, str], folder: Path) -> AsyncIterator[list[Instance]]:
    instances = [Instance(settings, folder / f"log-{number}") for number in range(2)]
    async with AsyncExitStack() as stack:
        for instance in instances:
            await stack.enter_async_context(instance)
        yield instances


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("restarts", [2, pytest.param(20, marks=pytest.mark.long)])
async def test_rolling_restarts_behind_nginx_and_haproxy_fail_no_request(
    database_url: str, valkey: ValkeyServer, tmp_path: Path, restarts: int
) -> None:
    # HAProxy notices within two seconds. The long form of the test keeps the default drain of 5.
    drain = {"DRAIN_SECONDS": "3"} if restarts < 20 else {}
    async with two_instances(production(database_url, valkey, **drain), tmp_path) as instances:
        requests = in_turns(*reads_and_writes(await log_in(instances[0].url)))
        ports = free_port(), free_port()
        with (
            Nginx(configured("nginx.conf", ports[0], instances), port=ports[0]),
            HAProxy(configured("haproxy.cfg", ports[1], instances), port=ports[1]),
        ):
            async with Load(ports[0], requests) as nginx, Load(ports[1], requests) as haproxy:
                for number in range(restarts):
                    await asyncio.sleep(NOTICED_SECONDS)
                    await instances[number % 2].stop()
                    if number == restarts // 2:
                        await migrate(database_url)
                    await instances[number % 2].start()

    assert (nginx.failed, haproxy.failed) == ({}, {}), (nginx.outcomes, haproxy.outcomes)
    assert min(nginx.outcomes["201"], haproxy.outcomes["201"]) > 10 * restarts


async def test_a_page_can_read_the_refusal_of_a_large_body_behind_nginx(
    database_url: str, valkey: ValkeyServer, tmp_path: Path
) -> None:
    origin = "https://app.example.com"
    settings = production(database_url, valkey, CORS_ORIGINS=origin, DRAIN_SECONDS="0")
    headers = {"Origin": origin, "Content-Type": "application/json"}
    port = free_port()
    async with (
        Instance(settings, tmp_path / "log") as instance,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        with Nginx(configured("nginx.conf", port, [instance, instance]), port=port):
            for size in (1_048_577, 4_000_000):
                response = await client.post("/api/v1/items", content=b"a" * size, headers=headers)

                assert response.status_code == 413
                assert response.headers.get("Access-Control-Allow-Origin") == origin
                assert response.json()["code"] == "payload_too_large"


# --- settings in deploy/


def test_the_grace_periods_of_deploy_exceed_drain_and_shutdown() -> None:
    fields = Settings.model_fields
    needed = 5 + int(fields["SHUTDOWN_TIMEOUT_SECONDS"].default)
    compose = (DEPLOY / "compose.yaml").read_text()
    application = compose.partition("\n  app:\n")[2]
    found = re.search(r"stop_grace_period: (\d+)s", application)

    assert found is not None
    assert int(found[1]) >= needed + 5


def test_the_keep_alive_time_exceeds_the_proxies_idle_time() -> None:
    keep_alive = int(Settings.model_fields["KEEP_ALIVE_SECONDS"].default)
    found = re.search(r"keepalive_timeout (\d+)s", (DEPLOY / "nginx.conf").read_text())

    assert found is not None
    assert int(found[1]) < keep_alive
