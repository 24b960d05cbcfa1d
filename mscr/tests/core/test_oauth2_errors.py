"""OAuth 2.0 errors of a token endpoint, in any application and from any error response."""

import json
from typing import Final

from httpx2 import ASGITransport, AsyncClient
from starlette.types import Receive, Scope, Send

from mscr.http.oauth2_errors import OAuth2ErrorMiddleware
from mscr.http.problems import PROBLEM_MEDIA_TYPE

PROBLEM: Final = json.dumps(
    {"status": 418, "code": "teapot", "detail": 'No "coffee" in a käse\\pot'}, ensure_ascii=False
).encode()


def answering(media_type: str) -> OAuth2ErrorMiddleware:
    """Return an application that sends a problem in two parts, as a stream would."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", media_type.encode())]
        await send({"type": "http.response.start", "status": 418, "headers": headers})
        await send({"type": "http.response.body", "body": PROBLEM[:20], "more_body": True})
        await send({"type": "http.response.body", "body": PROBLEM[20:]})

    return OAuth2ErrorMiddleware(app, path="/token")


async def post(media_type: str, path: str = "/token") -> bytes:
    transport = ASGITransport(app=answering(media_type))
    async with AsyncClient(transport=transport, base_url="http://testserver") as client:
        return (await client.post(path)).content


async def test_a_problem_sent_in_parts_is_extended() -> None:
    body = json.loads(await post(PROBLEM_MEDIA_TYPE))

    assert body.items() >= json.loads(PROBLEM).items()
    assert body["error"] == "invalid_request"


async def test_the_description_has_only_the_characters_of_rfc_6749() -> None:
    body = json.loads(await post(PROBLEM_MEDIA_TYPE))

    assert body["error_description"] == "No 'coffee' in a k'se'pot"


async def test_other_responses_and_paths_are_unchanged() -> None:
    assert await post("application/json") == PROBLEM
    assert await post(PROBLEM_MEDIA_TYPE, "/other") == PROBLEM
