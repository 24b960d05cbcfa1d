"""A wrong value of DATABASE_POOLER is reported in one line that names the setting."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from examples.catalogue.core.config import Settings
from examples.catalogue.main import create_app
from mscr.testing.applications import running
from mscr.testing.commands import finish, start
from mscr.testing.postgres import PostgresServer
from mscr.tests.data.faults import migrated_database, private_server
from mscr.tests.deploy.pgbouncer import PgBouncer
from mscr.tests.support.paths import ALEMBIC, CLI

DROPPED: Final = "extra_float_digits,statement_timeout,lock_timeout"
IDLE: Final = "idle_in_transaction_session_timeout,default_transaction_read_only"
# The declared pooler, and the actual one: its mode and other settings of PgBouncer.
WRONG: Final = {
    "none before a pooler that refuses parameters": ("none", "session", {}),
    "none before a pooler of transactions": ("none", "transaction", {}),
    "none before a pooler that drops parameters": (
        "none",
        "session",
        {"ignore_startup_parameters": f"{DROPPED},{IDLE}"},
    ),
    "session before a pooler of transactions": ("session", "transaction", {}),
    "transaction before a pooler of statements": ("transaction", "statement", {}),
}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with private_server() as own:
        yield own


@pytest.fixture
async def url(server: PostgresServer) -> AsyncIterator[str]:
    async with migrated_database(server) as found:
        yield found


@pytest.mark.parametrize(("declared", "mode", "options"), WRONG.values(), ids=WRONG.keys())
async def test_with_a_wrong_declaration_readiness_is_503_and_the_log_names_the_setting(
    server: PostgresServer,
    url: str,
    declared: str,
    mode: str,
    options: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with PgBouncer(server, mode, **options) as pooler:
        settings = configured(pooler.in_front_of(url), declared)
        async with running(create_app(settings)) as client:
            answer = await client.get("/health/ready")

    assert answer.status_code == 503
    lines = [line for line in capsys.readouterr().out.splitlines() if "DATABASE_POOLER" in line]
    assert len(lines) == 1
    assert "remedy=" in lines[0]


@pytest.mark.long
@pytest.mark.parametrize(("declared", "mode", "options"), WRONG.values(), ids=WRONG.keys())
async def test_doctor_names_the_wrong_setting_in_one_line(
    server: PostgresServer, url: str, declared: str, mode: str, options: dict[str, str]
) -> None:
    with PgBouncer(server, mode, **options) as pooler:
        environment = os.environ | {
            "DATABASE_URL": pooler.in_front_of(url),
            "DATABASE_POOLER": declared,
        }
        ended = finish(start([*CLI, "doctor"], environment))

    assert ended.status == 1
    [line] = [line for line in ended.output.splitlines() if "FAILED" in line]
    assert "DATABASE_POOLER" in line
    assert "DATABASE_URL" not in line
    assert "Traceback" not in ended.output


@pytest.mark.parametrize("mode", ["session", "none"])
async def test_declaring_a_transaction_pooler_works_with_every_database(
    server: PostgresServer, url: str, mode: str
) -> None:
    with PgBouncer(server, "session") as pooler:
        place = url if mode == "none" else pooler.in_front_of(url)
        async with running(create_app(configured(place, "transaction"))) as client:
            answer = await client.get("/health/ready")

    assert answer.status_code == 200


@pytest.mark.parametrize("mode", ["session", "transaction"])
@pytest.mark.parametrize(
    "command",
    [[*CLI, "doctor"], [*ALEMBIC, "upgrade", "head"]],
    ids=["doctor", "alembic upgrade head"],
)
async def test_a_pooler_with_all_connections_in_use_is_named(
    server: PostgresServer, url: str, mode: str, command: list[str]
) -> None:
    with PgBouncer(server, mode, default_pool_size="1") as pooler:
        place = pooler.in_front_of(url)
        environment = os.environ | {
            "DATABASE_URL": place,
            "DATABASE_POOLER": mode,
            "DATABASE_CONNECT_TIMEOUT_SECONDS": "1",
        }
        async with one_transaction(place):
            started = start(command, environment)
            ended = await asyncio.to_thread(finish, started)

    assert "default_pool_size" in ended.output
    assert "firewalls" not in ended.output
    assert "Traceback" not in ended.output


REFUSED: Final = {
    "a wrong password": ({"auth_type": "md5"}, "correct user and password in DATABASE_URL"),
    "too many clients": ({"max_client_conn": "0"}, "raise max_client_conn"),
}


@pytest.mark.parametrize(("options", "remedy"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_refusal_by_the_pooler_itself_has_its_own_remedy(
    server: PostgresServer, url: str, options: dict[str, str], remedy: str
) -> None:
    with PgBouncer(server, "transaction", **options) as pooler:
        place = pooler.in_front_of(url)
        environment = os.environ | {"DATABASE_URL": place, "DATABASE_POOLER": "transaction"}
        ended = finish(start([*CLI, "doctor"], environment))

    [line] = [line for line in ended.output.splitlines() if "FAILED" in line]
    assert line.endswith(remedy)


@asynccontextmanager
async def one_transaction(url: str) -> AsyncIterator[None]:
    """Keep the pooler's only server connection in use."""
    engine = create_async_engine(url, poolclass=NullPool, connect_args={"statement_cache_size": 0})
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        yield


def configured(url: str, declared: str) -> Settings:
    return Settings.model_validate({"DATABASE_URL": url, "DATABASE_POOLER": declared})
