"""Options of a database URL on a real PostgreSQL, for write, read and replica connections."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from examples.catalogue.core.config import Settings
from examples.catalogue.db.session import Database
from examples.catalogue.main import create_app
from mscr.connections.urls.choice_of_server import NoSuitableServerError, ServerChoice
from mscr.testing.applications import running
from mscr.testing.postgres import PostgresServer
from mscr.tests.support.command_line import Cli, assert_refused


@pytest.fixture
async def url(postgres: PostgresServer) -> AsyncIterator[str]:
    name = f"test_{secrets.token_hex(8)}"
    await postgres.create_database(name)
    yield postgres.url(name)
    await postgres.drop_database(name)


async def seen_by(url: str, query: str, replica: str | None = None) -> list[object]:
    """Run a query on a write, a read and a replica connection."""
    settings = Settings.from_env_file(None, DATABASE_URL=url, DATABASE_REPLICA_URL=replica)
    database = Database(settings)
    found = []
    try:
        for sessions in (database.sessions, database.read_sessions, database.replica_sessions):
            async with sessions() as session:
                found.append(await session.scalar(text(query)))
    finally:
        await database.close()
    return found


READ_ONLY = "SELECT current_setting('transaction_read_only')"


@pytest.mark.parametrize("target", ["any", "primary", "read-write"])
async def test_a_primary_is_found_for_writing_and_for_reading(url: str, target: str) -> None:
    found = await seen_by(f"{url}&target_session_attrs={target}", READ_ONLY)

    assert found == ["off", "on", "on"]


async def test_a_replica_is_preferred_for_reading_and_not_required(url: str) -> None:
    found = await seen_by(url, READ_ONLY, f"{url}&target_session_attrs=prefer-standby")

    assert found == ["off", "on", "on"]


@pytest.mark.parametrize("target", ["standby", "read-only"])
async def test_no_suitable_server_is_an_outage_and_no_server_fault(url: str, target: str) -> None:
    with pytest.raises(NoSuitableServerError, match="target_session_attrs=standby"):
        await seen_by(url, READ_ONLY, f"{url}&target_session_attrs={target}")


async def test_server_settings_of_the_url_are_in_force(url: str) -> None:
    options = "&application_name=my%20api&options=-c%20work_mem%3D5MB&search_path=pg_catalog"
    query = (
        "SELECT concat_ws(' ', current_setting('application_name'), current_setting('work_mem'), "
        "current_setting('search_path'), current_setting('lock_timeout'))"
    )

    assert await seen_by(url + options, query) == ["my api 5MB pg_catalog 5s"] * 3


@pytest.mark.parametrize("option", ["-c%20no_such_setting=1", "-c%20work_mem=much"])
async def test_an_option_that_the_server_refuses_is_503(url: str, option: str) -> None:
    settings = Settings.from_env_file(None, DATABASE_URL=f"{url}&options={option}")

    async with running(create_app(settings)) as client:
        body = {"email": "ada@example.com", "password": "correct horse"}
        login = await client.post("/api/v1/auth/login", json=body)

    assert login.status_code == 503


def test_an_option_that_the_server_refuses_is_one_line(tmp_path: Path, url: str) -> None:
    options = "&options=-c%20no_such_setting=canary"
    cli = Cli(tmp_path, url + options)
    told = 'the server refuses an option of the URL: unrecognized configuration parameter "no_such'

    assert_refused(cli.run("list-users"), told)


async def test_a_silent_server_leaves_the_next_one_its_time(url: str) -> None:
    """As when the old primary's machine is gone, and nothing refuses a connection."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        path = make_url(url).query["host"]
        several = f"127.0.0.1:{silent.getsockname()[1]},{path}"
        url = f"{url.partition('?')[0].replace('@localhost', '@')}?host={several}"

        found = await seen_by(f"{url}&connect_timeout=1&sslmode=disable", "SELECT 1")

    assert found == [1, 1, 1]


async def test_an_error_that_every_host_would_give_is_not_retried(url: str) -> None:
    path = make_url(url).query["host"]
    wrong = f"{url.partition('?')[0]}_missing?host={path},{path}&port=5432,5432"

    with pytest.raises(DBAPIError, match="does not exist"):
        await seen_by(wrong, "SELECT 1")


async def test_hosts_are_tried_in_order_until_one_accepts() -> None:
    tried = []

    async def connect(*, host: str = "anywhere", port: int = 0, target_session_attrs: str) -> str:
        await asyncio.sleep(0)
        tried.append((host, port, target_session_attrs))
        if host == "down":
            raise ConnectionRefusedError
        return host

    choice = ServerChoice(connect)

    assert await choice(host=["down", "up", "never"], port=[1, 2, 3]) == "up"
    assert tried == [("down", 1, "any"), ("up", 2, "any")]
    assert await choice() == "anywhere"
    with pytest.raises(ConnectionRefusedError):
        await choice(host=["down"], port=[1])


@pytest.mark.parametrize("order", [["starting", "standby"], ["standby", "starting"]])
async def test_a_starting_server_is_the_reported_cause_rather_than_its_kind(
    order: list[str],
) -> None:
    async def connect(*, host: str, **_: object) -> None:
        await asyncio.sleep(0)
        if host == "standby":
            raise asyncpg.exceptions.TargetServerAttributeNotMatched
        raise asyncpg.CannotConnectNowError("the database system is starting up")

    with pytest.raises(asyncpg.CannotConnectNowError):
        await ServerChoice(connect)(host=order, port=[1, 2], target_session_attrs="primary")


async def test_the_driver_connects_by_default() -> None:
    with pytest.raises(FileNotFoundError):
        await ServerChoice()(host=["/no/such/socket"], port=[5432])
