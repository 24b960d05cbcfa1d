"""The search for integer keys finds them wherever they could hide."""

import base64

import pytest
from httpx2 import Response

from tests.support.integer_keys import FIRST, IntegerKeys


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


CLAIMS = b'{"sub": %d}' % FIRST
POSITION = b'["a", %d]' % FIRST
HIDING_PLACES = [
    Response(200, json={"data": {"id": FIRST}}),
    Response(200, text=f"/items/{FIRST:x}"),
    Response(201, headers={"Location": f"/items/{FIRST}"}),
    Response(200, text=".".join(encoded(part) for part in (b"{}", CLAIMS, b"x" * 32))),
    Response(200, json={"meta": {"next_cursor": encoded(b"x" * 16 + POSITION)}}),
    Response(200, text=encoded(b"id" + FIRST.to_bytes(8, "big") + b"mac")),
]


@pytest.mark.parametrize("response", HIDING_PLACES)
def test_finds_a_key_in_a_response(response: Response) -> None:
    keys = IntegerKeys()
    keys.given = {FIRST}
    assert keys.found_in(response) == {FIRST}


def test_finds_nothing_where_there_is_nothing() -> None:
    keys = IntegerKeys()
    keys.given = {FIRST}
    assert keys.found_in(Response(200, json={"id": FIRST + 1, "token": "AAAA" * 20})) == set()
