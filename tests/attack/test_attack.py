"""The attacks against the application as it is served, and against one that holds nothing."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fastapi import FastAPI, Request
from httpx2 import ASGITransport, AsyncClient

from app.core.config import PROJECT_ROOT
from app.core.security.signing_algorithm import SigningAlgorithm
from tests.attack.report import report
from tests.support.databases import on_sqlite
from tests.support.key_pairs import ASYMMETRIC, name_of, signing_settings
from tests.support.processes import APP, AppProcess, app_processes


@contextmanager
def served(database_url: str, **settings: str) -> Iterator[AppProcess]:
    # So many at once take their time on a machine that has other work too.
    with app_processes(
        1,
        database_url,
        cwd=PROJECT_ROOT,
        app=APP,
        DATABASE_POOL_TIMEOUT_SECONDS="30",
        DATABASE_LOCK_TIMEOUT_SECONDS="30",
        **settings,
    ) as [process]:
        yield process


async def assert_holds(process: AppProcess, capsys: pytest.CaptureFixture[str]) -> int:
    """How many attempts there were, none of which found a door open."""
    async with process.client() as client:
        status = await report(client)
    table = capsys.readouterr().out
    assert status == 0, table
    return int(re.findall(r"(\d+) attempts", table)[0])


async def test_no_token_opens_what_it_should_not(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """JW1, JW3, JW5, JW7, RT2, RT3, RT6, RT8: over HTTP, without any knowledge of ours."""
    with served(database_url, REFRESH_TOKEN_REUSE_INTERVAL_SECONDS="0") as process:
        assert await assert_holds(process, capsys) > 70


@on_sqlite
async def test_within_the_interval_a_replay_returns_the_same_successor(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """RT7: never a sibling; everything else is refused as with an interval of 0."""
    with served(database_url) as process:
        assert await assert_holds(process, capsys) > 68


@on_sqlite
@pytest.mark.parametrize("algorithm", ASYMMETRIC, ids=name_of)
async def test_published_keys_open_nothing(
    database_url: str, capsys: pytest.CaptureFixture[str], algorithm: SigningAlgorithm
) -> None:
    """JW1: nor do they as secrets, in whatever form."""
    with served(database_url, **signing_settings(algorithm)) as process:
        assert await assert_holds(process, capsys) > 74


async def test_a_server_that_lets_everybody_in_is_found_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Otherwise the silence of the attacks above would prove nothing."""
    gullible = FastAPI()
    # {"kid": "k"} and {"sid": "s"}, signed with nothing.
    tokens = {"access_token": "eyJraWQiOiAiayJ9.eyJzaWQiOiAicyJ9.AA"}

    @gullible.api_route("/{path:path}", methods=["GET", "POST", "DELETE"])
    async def welcome(request: Request) -> dict[str, object]:
        return {"data": {**tokens, "refresh_token": f"{id(request):x}" * 5}}

    transport = ASGITransport(app=gullible)
    async with AsyncClient(transport=transport, base_url="http://testserver") as client:
        status = await report(client)

    assert status == 1
    assert "OPEN" in capsys.readouterr().out
