"""The attacks against the application as it is served, and against one that holds nothing."""

import re
from collections.abc import Iterator

import pytest
from fastapi import FastAPI, Request
from httpx2 import ASGITransport, AsyncClient

from tests.attack.report import report
from tests.support.processes import AppProcess, app_processes


@pytest.fixture
def process(database_url: str) -> Iterator[AppProcess]:
    # So many at once take their time on a machine that has other work too.
    with app_processes(
        1,
        database_url,
        DATABASE_POOL_TIMEOUT_SECONDS="30",
        DATABASE_LOCK_TIMEOUT_SECONDS="30",
    ) as [process]:
        yield process


async def test_no_token_opens_what_it_should_not(
    process: AppProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    """JW1, JW3, JW5, JW7, RT2, RT3, RT6, RT8: over HTTP, without any knowledge of ours."""
    async with process.client() as client:
        status = await report(client)

    table = capsys.readouterr().out
    assert status == 0, table
    assert int(re.findall(r"(\d+) attempts", table)[0]) > 70


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
