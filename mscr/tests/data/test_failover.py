"""Failover: the primary becomes a read-only standby, and another server takes its place."""

from collections.abc import Iterator

import pytest
from httpx2 import AsyncClient

from examples.catalogue.tests.api import Api
from mscr.testing.api import PASSWORD
from mscr.testing.plugin import SCRATCH
from mscr.testing.postgres import PORT, PostgresServer
from mscr.tests.data.faults import TEMPLATE, assert_unavailable, private_server

# A name that moves from one server to the other, as in DNS. Open connections stay where they are.
CURRENT_PRIMARY = SCRATCH / "primary"


@pytest.fixture(scope="module")
def old() -> Iterator[PostgresServer]:
    """Start a server that answers queries and refuses writes."""
    with private_server() as server:
        server.stop()
        (server.scratch.path / "data" / "standby.signal").touch()
        server.start()
        yield server


@pytest.fixture(scope="module")
def new() -> Iterator[PostgresServer]:
    with private_server() as server:
        yield server


@pytest.fixture
def database_url(old: PostgresServer, new: PostgresServer) -> Iterator[str]:
    point_to(old)
    yield f"postgresql+asyncpg://postgres@localhost/{TEMPLATE}?host={CURRENT_PRIMARY}&port={PORT}"
    CURRENT_PRIMARY.unlink()


def point_to(server: PostgresServer) -> None:
    CURRENT_PRIMARY.unlink(missing_ok=True)
    CURRENT_PRIMARY.symlink_to(server.scratch.path)


async def test_a_write_to_a_read_only_server_is_answered_with_503(api: Api) -> None:
    """RL3."""
    body = {"email": "ada@example.com", "password": PASSWORD}

    assert_unavailable(await api.client.post("/api/v1/auth/register", json=body))


async def test_reads_succeed_while_the_server_is_read_only(client: AsyncClient) -> None:
    """RL3."""
    response = await client.get("/health/ready")

    assert response.status_code == 200


async def test_writes_reach_the_new_primary_after_one_503(api: Api, new: PostgresServer) -> None:
    """RL3: the pool drops its connections to the old server, although they still work."""
    body = {"email": "eve@example.com", "password": PASSWORD}
    await api.client.post("/api/v1/auth/register", json=body)
    point_to(new)

    response = await api.client.post("/api/v1/auth/register", json=body)

    assert response.status_code == 201


async def test_reads_reach_the_new_primary_too(api: Api, new: PostgresServer) -> None:
    """RL3: otherwise a revoked session would stay valid where the old server is still read."""
    await api.client.get("/health/ready")
    await api.client.post(
        "/api/v1/auth/register", json={"email": "a@b.example", "password": PASSWORD}
    )
    point_to(new)

    account = await api.register()

    assert (await api.me(account.access_token)).status_code == 200
