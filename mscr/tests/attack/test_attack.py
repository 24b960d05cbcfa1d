"""The attacks on tokens, against the running application and against one that accepts anything."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fastapi import FastAPI, Request
from httpx2 import ASGITransport, AsyncClient

from examples.catalogue.project import project
from mscr.core.security.signing_algorithm import SigningAlgorithm
from mscr.testing.databases import on_sqlite
from mscr.testing.key_pairs import ASYMMETRIC, name_of, signing_settings
from mscr.testing.processes import AppProcess, app_processes
from mscr.tests.attack.report import report


@contextmanager
def served(database_url: str, **settings: str) -> Iterator[AppProcess]:
    # So many concurrent requests are slow on a busy machine.
    with app_processes(
        project,
        1,
        database_url,
        app=project.application,
        cwd=project.root,
        DATABASE_POOL_TIMEOUT_SECONDS="30",
        DATABASE_LOCK_TIMEOUT_SECONDS="30",
        **settings,
    ) as [process]:
        yield process


async def assert_holds(process: AppProcess, capsys: pytest.CaptureFixture[str]) -> int:
    """Assert that no attempt succeeded, and return the number of attempts."""
    async with process.client() as client:
        status = await report(client)
    table = capsys.readouterr().out
    assert status == 0, table
    return int(re.findall(r"(\d+) attempts", table)[0])


async def test_no_attack_on_tokens_succeeds(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """JW1, JW3, JW5, JW7, RT2, RT3, RT6, RT8: over HTTP, without access to keys or database."""
    with served(database_url, REFRESH_TOKEN_REUSE_INTERVAL_SECONDS="0") as process:
        assert await assert_holds(process, capsys) > 70


@on_sqlite
async def test_within_the_interval_a_replay_returns_the_same_successor(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """RT7: never a second successor; everything else is refused as with an interval of 0."""
    with served(database_url) as process:
        assert await assert_holds(process, capsys) > 68


@on_sqlite
@pytest.mark.parametrize("algorithm", ASYMMETRIC, ids=name_of)
async def test_published_keys_do_not_help_an_attacker(
    database_url: str, capsys: pytest.CaptureFixture[str], algorithm: SigningAlgorithm
) -> None:
    """JW1: algorithm confusion: no form of a public key works as an HMAC secret."""
    with served(database_url, **signing_settings(algorithm)) as process:
        assert await assert_holds(process, capsys) > 74


async def test_a_server_that_accepts_any_token_is_detected(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Prove that the attacks above can fail."""
    gullible = FastAPI()
    # {"kid": "k"} and {"sid": "s"}, with a meaningless signature.
    tokens = {"access_token": "eyJraWQiOiAiayJ9.eyJzaWQiOiAicyJ9.AA"}

    @gullible.api_route("/{path:path}", methods=["GET", "POST", "DELETE"])
    async def welcome(request: Request) -> dict[str, object]:
        return {"data": {**tokens, "refresh_token": f"{id(request):x}" * 5}}

    transport = ASGITransport(app=gullible)
    async with AsyncClient(transport=transport, base_url="http://testserver") as client:
        status = await report(client)

    assert status == 1
    assert "OPEN" in capsys.readouterr().out
