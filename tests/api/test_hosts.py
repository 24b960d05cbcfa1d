"""Which host names are served."""

import pytest
from httpx2 import AsyncClient

from tests.support.databases import on_sqlite
from tests.support.problems import problem

pytestmark = [
    on_sqlite,
    pytest.mark.settings(ALLOWED_HOSTS=["API.example.com", "*.internal.example", "::1"]),
]
PATH = "/api/v1/items"


@pytest.mark.parametrize(
    "host",
    [
        "api.example.com",
        "api.example.com:8443",
        "Api.Example.Com",
        "one.internal.example",
        "one.two.internal.example",
        "[::1]:8000",
    ],
)
async def test_a_listed_name_is_served_at_any_port(client: AsyncClient, host: str) -> None:
    """HD2."""
    problem(await client.get(PATH, headers={"Host": host}), 401, "unauthorized")


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "evil.com",
        "api.example.com.evil.com",
        "evil-api.example.com",
        "api.example.com@evil.com",
        "evil.com#api.example.com",
        "internal.example",
        "notinternal.example",
        "",
        "[::1",
        "[evil",
        "api.example.com.",
    ],
)
async def test_any_other_name_is_refused_in_the_one_shape(client: AsyncClient, host: str) -> None:
    """HD2."""
    body = problem(await client.get(PATH, headers={"Host": host}), 400, "untrusted_host")
    assert "evil" not in repr(body)


async def test_health_is_told_whatever_the_name(client: AsyncClient) -> None:
    """A probe calls an address, and would take the process for dead."""
    response = await client.get("/health/live", headers={"Host": "10.1.2.3:8000"})
    assert response.status_code == 200
