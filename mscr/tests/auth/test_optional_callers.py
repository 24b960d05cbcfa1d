"""Routes whose caller is optional: no credentials are accepted, bad ones are not."""

import io
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Response
from sqlalchemy import select, text

from examples.catalogue.models.user import User
from examples.catalogue.services.article_service import ArticleService
from examples.catalogue.tests.api import Api
from mscr.db.caller import current_caller
from mscr.endpoints.callers import CurrentPrincipal, OptionalPrincipal
from mscr.endpoints.database import PublicReadDbSession
from mscr.endpoints.owned_resource import service_for_anyone
from mscr.http.routing import Router
from mscr.testing.api import bearer
from mscr.testing.cookies import OWN_ORIGIN, cookie
from mscr.testing.databases import on_sqlite
from mscr.testing.forgery import TokenForger
from mscr.testing.problems import problem

ARTICLES = "/api/v1/articles"
BODY = {"title": "On tea", "text": "Warm the pot first."}
router = Router(prefix="/public")
PublicArticles = Annotated[ArticleService, service_for_anyone(ArticleService)]


@router.get("/who")
async def who(caller: OptionalPrincipal, db: PublicReadDbSession) -> dict[str, Any]:
    """Name the caller, the key of the connection's queue, and the number of users."""
    queue = current_caller()
    return {
        "caller": caller and caller.public_id,
        "queue": queue and queue.key,
        "users": len((await db.scalars(select(User.id))).all()),
    }


@router.get("/cached")
async def cached(_: OptionalPrincipal, response: Response) -> dict[str, Any]:
    """Allow caches to keep the response."""
    response.headers["Cache-Control"] = "public, max-age=60"
    return {}


@router.get("/both")
async def both(_: CurrentPrincipal, __: OptionalPrincipal) -> dict[str, Any]:
    """Require a caller, whatever else accepts none."""
    return {}


@router.get("/written")
async def written(db: PublicReadDbSession) -> dict[str, Any]:
    """Try to write."""
    await db.execute(text("DELETE FROM users"))
    return {}


@router.post("/articles")
async def create(articles: PublicArticles) -> dict[str, Any]:
    """Write with a service that only reads."""
    return {}


@router.get("/own")
async def own(articles: PublicArticles) -> dict[str, Any]:
    """Use the caller of a service for anyone."""
    return {"caller": articles.caller.public_id}


@pytest.fixture
def app(app: FastAPI) -> FastAPI:
    app.include_router(router, prefix="/api/v1")
    app.openapi_schema = None
    return app


async def test_a_request_without_credentials_is_anonymous(api: Api) -> None:
    await api.register()

    response = await api.client.get("/api/v1/public/who")

    assert response.json() == {"caller": None, "queue": "address 127.0.0.1", "users": 1}


async def test_a_valid_token_names_the_caller(api: Api) -> None:
    account = await api.register()

    response = await api.client.get("/api/v1/public/who", headers=account.headers)

    public_id = account.public_id
    assert response.json() == {"caller": public_id, "queue": public_id, "users": 1}


@pytest.mark.parametrize(
    "sent",
    [
        ["Bearer garbage"],
        ["Bearer "],
        ["Bearer"],
        [""],
        ["Basic dXNlcjpwYXNz"],
        ["Negotiate \xff"],
        ["Bearer e30.e30.e30"],
        ["Bearer {token}", "Bearer {token}"],
        ["Bearer {token}", ""],
        ["", "Bearer {token}"],
        ["Bearer {token}, Bearer {token}"],
        ["Bearer {token}x"],
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/public/who", ARTICLES])
async def test_credentials_that_are_not_valid_are_401(api: Api, path: str, sent: list[str]) -> None:
    """AZ1: a broken token is never treated as no token."""
    token = (await api.register()).access_token
    headers = [
        (b"authorization", each.replace("{token}", token).encode("latin-1")) for each in sent
    ]

    problem(await api.client.get(path, headers=headers), 401, "unauthorized")


async def test_a_token_of_an_ended_session_is_401(api: Api) -> None:
    account = await api.register()
    assert (await api.client.get(ARTICLES, headers=account.headers)).status_code == 200
    await api.client.post("/api/v1/auth/logout", json={"refresh_token": account.refresh_token})

    problem(await api.client.get(ARTICLES, headers=account.headers), 401, "unauthorized")


@on_sqlite
async def test_an_expired_token_is_401(api: Api, forger: TokenForger) -> None:
    token = forger.forge(claims={"exp": forger.claims["iat"] - 3_600})

    problem(await api.client.get(ARTICLES, headers=bearer(token)), 401, "unauthorized")


@on_sqlite
@pytest.mark.settings(REFRESH_TOKEN_TRANSPORT="cookie")
async def test_the_cookie_of_a_session_is_no_credential_of_a_request(api: Api) -> None:
    """CK1: a page of another origin cannot read as the user."""
    api.client.headers["Origin"] = OWN_ORIGIN
    account = await api.register()
    sent = cookie(account.refresh_token)

    response = await api.client.get("/api/v1/public/who", headers=sent)

    assert response.json()["caller"] is None


@on_sqlite
@pytest.mark.settings(RATE_LIMIT_ENABLED=True, API_RATE_LIMIT="2/minute")
async def test_anonymous_clients_are_counted_by_address_and_callers_by_account(api: Api) -> None:
    account = await api.register()
    path = "/api/v1/public/who"
    for _ in range(2):
        assert (await api.client.get(path)).status_code == 200
        assert (await api.client.get(path, headers=account.headers)).status_code == 200

    problem(await api.client.get(path), 429, "too_many_requests")
    problem(await api.client.get(path, headers=account.headers), 429, "too_many_requests")
    other = await api.register()
    assert (await api.client.get(path, headers=other.headers)).status_code == 200


@on_sqlite
@pytest.mark.settings(RATE_LIMIT_ENABLED=True, API_RATE_LIMIT="3/minute")
async def test_invalid_tokens_are_counted_by_address(api: Api) -> None:
    headers = {"Authorization": "Bearer garbage"}
    for _ in range(3):
        problem(await api.client.get(ARTICLES, headers=headers), 401, "unauthorized")

    problem(await api.client.get(ARTICLES), 429, "too_many_requests")


@on_sqlite
async def test_responses_vary_by_the_caller_and_are_stored_only_if_the_route_says_so(
    api: Api,
) -> None:
    account = await api.register()
    created = await api.client.post(ARTICLES, json=BODY, headers=account.headers)
    for path in (ARTICLES, created.headers["location"], "/api/v1/public/who"):
        response = await api.client.get(path)
        assert response.headers["vary"] == "Authorization"
        assert response.headers["cache-control"] == "no-store"

    response = await api.client.get("/api/v1/public/cached")
    assert response.headers["vary"] == "Authorization"
    assert response.headers["cache-control"] == "public, max-age=60"


@on_sqlite
@pytest.mark.settings(CORS_ORIGINS=["https://app.example.com"])
async def test_a_response_to_a_page_of_another_origin_varies_by_both(api: Api) -> None:
    response = await api.client.get(ARTICLES, headers={"Origin": "https://app.example.com"})

    assert response.headers["vary"] == "Authorization, Origin"


@on_sqlite
async def test_openapi_shows_that_the_token_is_optional(app: FastAPI) -> None:
    paths = app.openapi()["paths"]

    optional = paths["/api/v1/public/who"]["get"]
    assert optional["security"] == [{}, {"OAuth2PasswordBearer": []}]
    assert {"401", "429", "503"} <= optional["responses"].keys()
    assert paths["/api/v1/public/both"]["get"]["security"] == [{"OAuth2PasswordBearer": []}]


async def test_a_route_that_also_requires_a_caller_refuses_anonymous_clients(api: Api) -> None:
    problem(await api.client.get("/api/v1/public/both"), 401, "unauthorized")


async def test_a_public_session_cannot_write(api: Api) -> None:
    account = await api.register()

    assert (await api.client.get("/api/v1/public/written")).status_code >= 500
    assert (await api.me(account.access_token)).status_code == 200


@on_sqlite
async def test_a_service_for_anyone_writes_nothing(api: Api, log_output: io.StringIO) -> None:
    response = await api.client.post("/api/v1/public/articles")

    assert response.status_code == 500
    assert "service_for_caller(ArticleService)" in log_output.getvalue()


async def test_a_service_that_needs_the_caller_refuses_anonymous_clients(api: Api) -> None:
    account = await api.register()

    problem(await api.client.get("/api/v1/public/own"), 401, "unauthorized")
    response = await api.client.get("/api/v1/public/own", headers=account.headers)
    assert response.json() == {"caller": account.public_id}


async def test_an_article_is_public_and_changed_by_its_owner_only(api: Api) -> None:
    owner, other = await api.register(), await api.register()
    created = await api.client.post(ARTICLES, json=BODY, headers=owner.headers)
    path = created.headers["location"]

    problem(await api.client.post(ARTICLES, json=BODY), 401, "unauthorized")
    for headers in ({}, other.headers, owner.headers):
        assert (await api.client.get(path, headers=headers)).json() == created.json()
        listed = await api.client.get(ARTICLES, headers=headers)
        assert listed.json()["data"] == [created.json()["data"]]
    problem(await api.client.patch(path, json={"title": "On milk"}), 401, "unauthorized")
    refused = await api.client.patch(path, json={"title": "On milk"}, headers=other.headers)
    problem(refused, 404, "not_found")
    changed = await api.client.patch(path, json={"title": "On milk"}, headers=owner.headers)
    assert changed.json()["data"]["title"] == "On milk"
    assert (await api.client.delete(path, headers=owner.headers)).status_code == 204
    problem(await api.client.get(path), 404, "not_found")


@on_sqlite
async def test_an_anonymous_client_reads_conditionally(api: Api) -> None:
    owner = await api.register()
    created = await api.client.post(ARTICLES, json=BODY, headers=owner.headers)
    headers = {"If-None-Match": created.headers["etag"]}

    response = await api.client.get(created.headers["location"], headers=headers)

    assert response.status_code == 304


@on_sqlite
async def test_a_cursor_of_an_anonymous_client_is_not_a_users(api: Api) -> None:
    owner = await api.register()
    for _ in range(2):
        await api.client.post(ARTICLES, json=BODY, headers=owner.headers)
    first = (await api.client.get(f"{ARTICLES}?limit=1")).json()["meta"]["next_cursor"]

    following = await api.client.get(ARTICLES, params={"limit": 1, "cursor": first})
    assert len(following.json()["data"]) == 1
    refused = await api.client.get(
        ARTICLES, params={"limit": 1, "cursor": first}, headers=owner.headers
    )
    assert refused.status_code in {400, 422}
