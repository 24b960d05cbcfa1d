"""Rate limits of requests and refreshes: counters in memory, and in a store."""

from collections.abc import AsyncIterator

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import iter_route_contexts
from httpx2 import AsyncClient, Response
from pydantic import SecretStr

from examples.catalogue.core.config import Settings
from examples.catalogue.db.session import Database
from examples.catalogue.main import create_app
from examples.catalogue.models.kit_tables import AuditEvent
from examples.catalogue.tests.api import Api
from mscr.endpoints.anonymous_limit import count_anonymous
from mscr.endpoints.callers import get_token_user
from mscr.http.anonymous import unlimited
from mscr.testing.api import Account, bearer
from mscr.testing.applications import client_from, new_address, running
from mscr.testing.databases import on_sqlite
from mscr.testing.problems import problem
from mscr.testing.table_rows import all_rows
from mscr.testing.tokens import rotated

# The counters are not in the database.
pytestmark = on_sqlite

ME = "/api/v1/users/me"
three_requests = pytest.mark.settings(RATE_LIMIT_ENABLED=True, API_RATE_LIMIT="3/minute")
three_refreshes = pytest.mark.settings(
    RATE_LIMIT_ENABLED=True, REFRESH_RATE_LIMIT_SESSION="3/minute"
)
three_from_an_address = pytest.mark.settings(
    RATE_LIMIT_ENABLED=True, REFRESH_RATE_LIMIT_ADDRESS="3/minute"
)


@pytest.fixture(params=["memory", "valkey"])
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    if request.param == "memory":
        return settings
    url = SecretStr(request.getfixturevalue("valkey").url)
    return settings.model_copy(update={"REDIS_URL": url})


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Send from a new address in each test, because counters in the store outlive the test."""
    async with client_from(new_address(), app) as client:
        yield client


async def ask(api: Api, token: str, *, times: int) -> list[Response]:
    return [await api.me(token) for _ in range(times)]


def statuses(responses: list[Response]) -> list[int]:
    return [response.status_code for response in responses]


@three_requests
async def test_a_caller_over_the_limit_gets_429_with_retry_after(
    api: Api, account: Account
) -> None:
    """LG4."""
    *served, limited = await ask(api, account.access_token, times=4)

    assert statuses(served) == [200] * 3
    problem(limited, 429, "too_many_requests")
    seconds = limited.headers["retry-after"]
    assert 1 <= int(seconds) <= 60
    assert limited.headers["ratelimit-policy"] == '"user";q=3;w=60'
    assert limited.headers["ratelimit"] == f'"user";r=0;t={seconds}'


@three_requests
async def test_a_user_has_one_limit_across_sessions(api: Api, account: Account) -> None:
    """LG4."""
    elsewhere = await api.login(account)
    await ask(api, elsewhere.access_token, times=3)

    assert statuses(await ask(api, account.access_token, times=1)) == [429]


@three_requests
async def test_callers_do_not_limit_each_other(api: Api, account: Account) -> None:
    """LG5: although they share one address."""
    await ask(api, account.access_token, times=4)

    assert statuses(await ask(api, (await api.register()).access_token, times=1)) == [200]


@three_requests
async def test_a_client_without_a_valid_token_is_counted_by_address(
    api: Api, account: Account, app: FastAPI
) -> None:
    """LG4: it does not use up the limits of users at the same address."""
    assert statuses(await ask(api, "guess", times=4)) == [401, 401, 401, 429]
    assert (await api.client.get(ME)).status_code == 429
    assert statuses(await ask(api, account.access_token, times=1)) == [200]
    async with client_from(new_address(), app) as stranger:
        assert (await stranger.get(ME)).status_code == 401


@three_requests
async def test_logout_is_counted_by_address(api: Api, account: Account, app: FastAPI) -> None:
    """LG4: it needs no access token, and queries the database for anything shaped like a token."""

    async def log_out(client: AsyncClient, token: str) -> int:
        body = {"refresh_token": token}
        return (await client.post("/api/v1/auth/logout", json=body)).status_code

    tokens = ("garbage", "A" * 70, "more garbage", account.refresh_token)
    assert [await log_out(api.client, token) for token in tokens] == [204, 204, 204, 429]
    assert statuses(await ask(api, account.access_token, times=1)) == [200]
    async with client_from(new_address(), app) as elsewhere:
        assert await log_out(elsewhere, account.refresh_token) == 204


@three_requests
async def test_health_checks_are_not_limited(api: Api) -> None:
    for _ in range(5):
        assert (await api.client.get("/health/live")).status_code == 200


@three_refreshes
async def test_refreshes_of_a_session_are_limited(
    api: Api, account: Account, app: FastAPI, database: Database
) -> None:
    """LG4, LG5: per address. Its owner can refresh from another one with the same token."""
    tokens = account.tokens
    for _ in range(3):
        tokens = await rotated(api, tokens["refresh_token"])

    problem(await api.refresh(tokens["refresh_token"]), 429, "too_many_requests")

    async with client_from(new_address(), app) as elsewhere:
        assert (await Api(elsewhere, database).refresh(tokens["refresh_token"])).is_success


@three_refreshes
async def test_sessions_do_not_limit_each_other(api: Api, account: Account) -> None:
    """LG5."""
    for _ in range(4):
        await api.refresh(account.refresh_token)
    other = await api.register()

    assert (await api.refresh(other.refresh_token)).status_code == 200


@three_from_an_address
async def test_refreshes_of_an_address_are_limited_across_tokens(
    api: Api, account: Account, database: Database
) -> None:
    """LG4, AU3."""
    for token in ("garbage", "A" * 60, "more garbage"):
        assert (await api.refresh(token)).status_code == 401

    for token in (account.refresh_token, "garbage"):
        problem(await api.refresh(token), 429, "too_many_requests")

    columns = list(AuditEvent.__table__.columns.keys())
    events = [
        dict(zip(columns, row, strict=True)) for row in (await all_rows(database))["audit_events"]
    ]
    refused = [event["action"] for event in events if event["reason"] == "too_many_requests"]
    assert refused == ["refresh"]


@three_requests
async def test_processes_share_the_counters_of_a_store(
    api: Api, account: Account, settings: Settings
) -> None:
    """LG7: without a store, each process counts on its own."""
    await ask(api, account.access_token, times=3)

    async with running(create_app(settings)) as other:
        response = await other.get(ME, headers=bearer(account.access_token))

    assert response.status_code == (200 if settings.REDIS_URL is None else 429)


@three_requests
@pytest.mark.parametrize(
    "path", ["/.well-known/jwks.json", "/docs", "/openapi.json", "/api/v1/anonymous"]
)
async def test_an_anonymous_route_is_counted_by_address(
    app: FastAPI, client: AsyncClient, path: str
) -> None:
    """LG4: an access token that the route does not read makes no difference."""

    @app.get("/api/v1/anonymous")
    async def anonymous() -> None: ...

    answers = [await client.get(path, headers=bearer(f"token {n}")) for n in range(4)]

    assert statuses(answers) == [200, 200, 200, 429]
    assert answers[-1].headers["ratelimit-policy"] == '"stranger";q=3;w=60'
    assert (await client.get("/.well-known/jwks.json")).status_code == 429
    async with client_from(new_address(), app) as elsewhere:
        assert (await elsewhere.get(path)).status_code == 200


@three_requests
async def test_a_plain_router_of_the_framework_is_limited_too(
    app: FastAPI, client: AsyncClient
) -> None:
    router = APIRouter(prefix="/plain")

    @router.get("/{slug}")
    async def plain(slug: str) -> None: ...

    app.include_router(router)

    assert statuses([await client.get(f"/plain/{n}") for n in range(4)]) == [200, 200, 200, 429]


async def test_an_unlimited_route_has_no_dependency_that_counts(
    app: FastAPI, client: AsyncClient
) -> None:
    @app.get("/unlimited")
    @unlimited
    async def probe() -> None: ...

    @app.get("/limited")
    async def limited() -> None: ...

    for path, left in (
        ("/unlimited", []),
        ("/health/live", []),
        ("/limited", [count_anonymous]),
    ):
        assert (await client.get(path)).status_code == 200
        [route] = [each for each in iter_route_contexts(app.routes) if each.path == path]
        assert [each.call for each in route.dependant.dependencies] == left


@three_requests
async def test_a_router_included_with_a_caller_is_counted_by_user(
    app: FastAPI, client: AsyncClient, api: Api
) -> None:
    router = APIRouter()

    @router.get("/included")
    async def included() -> None: ...

    app.include_router(router, dependencies=[Depends(get_token_user)])
    accounts = [await api.register() for _ in range(2)]
    found = [
        [(await client.get("/included", headers=each.headers)).status_code for _ in range(3)]
        for each in accounts
    ]

    assert found == [[200] * 3] * 2


@three_requests
async def test_a_route_marked_as_unlimited_is_not_limited(
    app: FastAPI, client: AsyncClient
) -> None:
    @app.get("/unlimited")
    @unlimited
    async def probe() -> None: ...

    assert statuses([await client.get("/unlimited") for _ in range(5)]) == [200] * 5
