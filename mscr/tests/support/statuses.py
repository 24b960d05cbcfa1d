"""A response of every status that the application returns."""

from typing import Final

import pytest
from fastapi import FastAPI
from httpx2 import Response

from examples.catalogue.tests.api import Api

ITEMS: Final = "/api/v1/items"
JSON: Final = {"Content-Type": "application/json"}
# The limiter is off in other tests.
limited = pytest.mark.settings(RATE_LIMIT_ENABLED=True, AUTH_RATE_LIMIT_ACCOUNT="1/minute")
STATUSES: Final = {
    200,
    201,
    204,
    304,
    400,
    401,
    403,
    404,
    405,
    409,
    412,
    413,
    422,
    429,
    431,
    500,
    503,
}


def add_faulty_routes(app: FastAPI) -> None:
    """Add `/fails`, a server fault, and `/away`, an unreachable database."""

    @app.get("/fails")
    async def fails() -> None:
        raise RuntimeError("SELECT secret FROM vault -- /srv/app/vault.py")

    @app.get("/away")
    async def away() -> None:
        raise ConnectionError("10.0.0.7:5432 refused postgres:hunter2")


async def answer_of_every_status(api: Api, app: FastAPI) -> dict[int, Response]:
    add_faulty_routes(app)
    user = await api.register()
    client, headers = api.client, user.headers
    created = await client.post(ITEMS, json={"title": "Milk"}, headers=headers)
    item = f"{ITEMS}/{created.json()['data']['public_id']}"
    taken = {"email": user.email, "password": user.password}
    answers = [
        await client.get(item, headers=headers),
        created,
        await client.get(item, headers=headers | {"If-None-Match": "*"}),
        await client.patch(item, json={}, headers=headers | {"If-Match": '"another"'}),
        await client.delete(item, headers=headers),
        await client.post(ITEMS, content=b"[" * 100_000, headers=headers | JSON),
        await client.get(ITEMS),
        await client.get("/api/v1/users", headers=headers),
        await client.get(item, headers=headers),
        await client.put(item, headers=headers),
        await client.post("/api/v1/auth/register", json=taken),
        await client.post(ITEMS, headers=headers | {"Content-Length": "100000000"}),
        await client.get(ITEMS, headers={"If-None-Match": "," * 100_000}),
        await client.post(ITEMS, json={}, headers=headers),
        await api.try_login("nobody@example.com", "wrong password"),
        await api.try_login("nobody@example.com", "wrong password"),
        await client.get("/fails"),
        await client.get("/away"),
    ]
    return {answer.status_code: answer for answer in answers}
