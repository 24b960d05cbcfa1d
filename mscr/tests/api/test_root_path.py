"""Behind a path prefix: URLs in responses lead back to it, whether the proxy strips it or not."""

import re
from typing import Final

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from structlog.testing import capture_logs

from examples.catalogue.tests.api import Api
from mscr.testing.api import PASSWORD
from mscr.testing.databases import on_sqlite
from mscr.testing.problems import problem

ROOT: Final = "/svc"
ITEMS: Final = "/api/v1/items"

pytestmark = [on_sqlite, pytest.mark.settings(ROOT_PATH=ROOT)]

# The prefix that reaches the application: a proxy may strip it or pass it on.
either_proxy = pytest.mark.parametrize("received", ["", ROOT], ids=["taken off", "passed on"])


@either_proxy
async def test_every_page_of_the_documentation_leads_to_the_prefix(
    client: AsyncClient, received: str
) -> None:
    for page in ("/docs", "/redoc"):
        response = await client.get(f"{received}{page}")
        links = re.findall(r"""(?:src|href|spec-url)=["']([^"']+)["']""", response.text)
        assert len(links) >= 2
        assert all(link.startswith(f"{ROOT}/") for link in links)
        assert f"{ROOT}/openapi.json" in response.text
        for link in links:
            path = received + link.removeprefix(ROOT)
            assert (await client.get(path)).status_code == 200, link
    assert f"{ROOT}/docs/oauth2-redirect" in (await client.get(f"{received}/docs")).text
    assert (await client.get(f"{received}/docs/oauth2-redirect")).status_code == 200


@either_proxy
async def test_the_document_names_the_prefix_for_requests_and_tokens(
    client: AsyncClient, received: str
) -> None:
    schema = (await client.get(f"{received}/openapi.json")).json()
    [token_url] = re.findall(r"'tokenUrl': '([^']+)'", repr(schema))

    assert schema["servers"] == [{"url": ROOT}]
    assert token_url == f"{ROOT}/api/v1/auth/token"
    assert not any(path.startswith(ROOT) for path in schema["paths"])


async def test_the_committed_document_does_not_depend_on_it(app: FastAPI) -> None:
    assert ROOT not in repr(app.openapi())


@either_proxy
async def test_location_and_link_lead_to_the_prefix(api: Api, received: str) -> None:
    owner = await api.register()
    path = f"{received}{ITEMS}"
    created = [
        await api.client.post(path, json={"title": "A thing"}, headers=owner.headers)
        for _ in range(2)
    ]
    listed = await api.client.get(f"{path}/my?per_page=1", headers=owner.headers)

    for response in created:
        public_id = response.json()["data"]["public_id"]
        assert response.headers["location"] == f"{ROOT}{ITEMS}/{public_id}"
        assert (await api.client.get(response.headers["location"])).status_code == 401
    # Links are relative to the request's URL, with the prefix or without.
    assert set(re.findall(r"<(.)", listed.headers["link"])) == {"?"}


@either_proxy
async def test_a_replayed_location_leads_to_the_prefix(api: Api, received: str) -> None:
    owner = await api.register()
    headers = owner.headers | {"Idempotency-Key": "one-and-the-same"}
    answers = [
        await api.client.post(f"{received}{ITEMS}", json={"title": "A thing"}, headers=headers)
        for _ in range(2)
    ]

    locations = {answer.headers["location"] for answer in answers}
    assert [location.startswith(f"{ROOT}{ITEMS}/") for location in locations] == [True]


@either_proxy
@pytest.mark.settings(ALLOWED_HOSTS=["api.example.com"])
async def test_only_health_is_served_for_any_host(client: AsyncClient, received: str) -> None:
    answers = {
        path: (await client.get(f"{received}{path}")).status_code
        for path in ("/health", "/health/live", "/health/ready", "/healthxyz", ITEMS, "/docs")
    }
    assert list(answers.values()) == [200, 200, 200, 400, 400, 400]


@either_proxy
async def test_errors_are_the_same_as_without_a_prefix(client: AsyncClient, received: str) -> None:
    problem(await client.get(f"{received}/nothing"), 404, "not_found")
    refused = await client.put(f"{received}{ITEMS}")
    problem(refused, 405, "method_not_allowed")
    assert refused.headers["allow"] == "GET, HEAD, POST"


@either_proxy
async def test_keys_are_published_behind_the_prefix(client: AsyncClient, received: str) -> None:
    assert (await client.get(f"{received}/.well-known/jwks.json")).status_code == 200


@either_proxy
@pytest.mark.settings(REFRESH_TOKEN_TRANSPORT="cookie")
async def test_the_cookie_is_for_the_whole_host(client: AsyncClient, received: str) -> None:
    """Browsers refuse a `__Host-` cookie with another path."""
    body = {"email": "ada@example.com", "password": PASSWORD}
    headers = {"Origin": "http://testserver"}
    path = f"{received}/api/v1/auth/register"
    response = await client.post(path, json=body, headers=headers)

    assert response.status_code == 201
    assert "Path=/;" in f"{response.headers['set-cookie']};"


@pytest.mark.parametrize("path", ["/svcx/docs", "/svc", "/svc/", "/svc/svc/docs"])
async def test_other_paths_are_404(client: AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


@pytest.mark.settings(ROOT_PATH="/api")
async def test_a_prefix_may_be_the_beginning_of_the_applications_paths(client: AsyncClient) -> None:
    paths = {
        "/api/v1/items": 401,
        "/api/api/v1/items": 401,
        "/docs": 200,
        "/api/docs": 200,
        "/api/docs-assets/swagger-ui.css": 200,
        "/api/health/live": 200,
        "/v1/items": 404,
    }
    answers = {path: (await client.get(path)).status_code for path in paths}
    assert answers == paths


@pytest.mark.settings(ROOT_PATH="")
async def test_a_prefix_that_the_server_sets_is_left_alone(app: FastAPI) -> None:
    transport = ASGITransport(app=app, root_path="/base")
    async with AsyncClient(transport=transport, base_url="http://testserver") as client:
        schema = (await client.get("/base/openapi.json")).json()
    assert schema["servers"] == [{"url": "/base"}]


@pytest.mark.settings(REGISTRATION_BY_MAIL=True)
async def test_links_in_mails_include_the_prefix(client: AsyncClient, app: FastAPI) -> None:
    body = {"email": "ada@example.com", "password": PASSWORD}
    with capture_logs() as events:
        await client.post("/api/v1/auth/register", json=body)
        await app.state.jobs.join()

    assert f"http://127.0.0.1:8000{ROOT}/confirm-registration#token=" in repr(events)
