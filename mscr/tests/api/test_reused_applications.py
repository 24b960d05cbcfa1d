"""Applications that the `app` fixture gives to several tests of one process."""

import pytest
from fastapi import FastAPI, Request, Response
from httpx2 import AsyncClient


async def _teapot(_: Request, __: Exception) -> Response:
    return Response(status_code=418)


@pytest.mark.parametrize("expected", [404, 418], ids=["unchanged", "with handler"])
@pytest.mark.parametrize("_round", [1, 2])
async def test_a_handler_has_an_effect_in_the_test_that_adds_it_only(
    app: FastAPI, client: AsyncClient, expected: int, _round: int
) -> None:
    if expected == 418:
        app.add_exception_handler(404, _teapot)

    response = await client.get("/unknown")

    assert response.status_code == expected
