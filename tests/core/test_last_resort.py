"""What the outermost layer does when nothing else can answer."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from httpx2 import ASGITransport, AsyncClient

from app.core.dependencies import get_current_user_id
from tests.support.api import Api


async def test_an_answer_that_has_begun_is_cut_off_not_followed_by_another(app: FastAPI) -> None:
    async def half() -> AsyncIterator[bytes]:
        yield b"half"
        raise ValueError("the rest is lost")

    @app.get("/half")
    async def stream() -> StreamingResponse:
        return StreamingResponse(half())

    # A server closes the connection on the error, so that no client takes the half for the whole.
    transport = ASGITransport(app=app)
    async with AsyncClient(transport=transport, base_url="http://testserver") as client:
        with pytest.raises(ValueError, match="the rest is lost"):
            await client.get("/half")


async def test_an_account_that_goes_away_during_the_request_is_401(api: Api, app: FastAPI) -> None:
    account = await api.register()
    app.dependency_overrides[get_current_user_id] = lambda: 4711

    response = await api.me(account.access_token)

    assert response.status_code == 401
    assert response.json()["code"] == "unauthorized"
