"""Responses to malformed requests: their shape, and which origins may read them (CORS)."""

import json
import pickle

import pytest

from mscr.http.refusals import Refusals
from mscr.tests.server.serving import request, serving

ORIGIN = "https://app.example.com"
REFUSED = {
    400: request(b"GET /", b"Origin: " + ORIGIN.encode(), b"X: y", b"no colon"),
    414: request(b"GET /" + b"a" * 20_000, b"Origin: " + ORIGIN.encode()),
    431: request(b"GET /", b"Origin: " + ORIGIN.encode(), b"X: " + b"a" * 70_000),
    501: request(b"POST /", b"Origin: " + ORIGIN.encode(), b"Transfer-Encoding: gzip"),
}


@pytest.mark.parametrize("credentials", [False, True])
async def test_pages_of_listed_origins_may_read_refusals(credentials: bool) -> None:
    # The parent process pickles it for its workers.
    answer = pickle.loads(pickle.dumps(Refusals([ORIGIN], credentials=credentials)))  # noqa: S301
    found = {}
    async with serving(answer=answer) as server:
        for status, sent in REFUSED.items():
            async with await server.connect() as client:
                await client.send(sent)
                found[status] = await client.response()

    assert {each[0] for each in found.values()} == found.keys()
    for status, headers, content in found.values():
        assert json.loads(content)["status"] == status
        assert headers["access-control-allow-origin"] == ORIGIN
        assert "X-Request-ID" in headers["access-control-expose-headers"]
        assert headers["vary"] == "Origin"
        assert ("access-control-allow-credentials" in headers) is credentials


@pytest.mark.parametrize("origins", [[], ["https://admin.example.com"]])
async def test_pages_of_other_origins_may_not_read_refusals(origins: list[str]) -> None:
    answer = Refusals(origins, credentials=True)
    async with serving(answer=answer) as server, await server.connect() as client:
        await client.send(REFUSED[400])
        _, headers, _ = await client.response()

    assert not [name for name in headers if name.startswith("access-control-")]
