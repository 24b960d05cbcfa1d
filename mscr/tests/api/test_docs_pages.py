"""The documentation pages load nothing from other hosts, and their policy forbids it."""

import base64
import hashlib
import re

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response

from mscr.testing.databases import on_sqlite
from mscr.testing.problems import problem

PAGES = ["/docs", "/redoc", "/docs/oauth2-redirect"]
ASSETS = {
    "/docs-assets/swagger-ui-bundle.js": "text/javascript",
    "/docs-assets/swagger-ui.css": "text/css",
    "/docs-assets/redoc.standalone.js": "text/javascript",
    "/docs-assets/favicon.png": "image/png",
}

pytestmark = on_sqlite


def policy(response: Response) -> dict[str, list[str]]:
    [header] = response.headers.get_list("content-security-policy")
    directives = (directive.split() for directive in header.split(";"))
    return {name: sources for name, *sources in directives}


def links(page: Response) -> set[str]:
    return set(re.findall(r"""(?:src|href|spec-url)=["']([^"']+)["']""", page.text))


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_refers_to_no_other_host(client: AsyncClient, page: str) -> None:
    response = await client.get(page)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert re.findall(r"https?:|[\"']//|@import", response.text) == []


@pytest.mark.parametrize("page", PAGES[:2])
async def test_everything_that_a_page_loads_is_served(client: AsyncClient, page: str) -> None:
    found = links(await client.get(page))
    assert len(found & ASSETS.keys()) >= 2
    for link in found:
        assert (await client.get(link)).status_code == 200, link


@pytest.mark.parametrize(("asset", "kind"), ASSETS.items())
async def test_an_asset_is_served_with_its_content_type(
    client: AsyncClient, asset: str, kind: str
) -> None:
    response = await client.get(asset)
    assert response.headers["content-type"].startswith(kind)
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_no_logo_is_fetched_from_a_vendor(client: AsyncClient) -> None:
    """The policy would block it, and the browser would log an error on the reader's console."""
    script = (await client.get("/docs-assets/redoc.standalone.js")).text

    assert '{alt:"redocly logo"' in script
    assert "https://cdn." not in script


@pytest.mark.parametrize("page", PAGES)
async def test_the_policy_allows_the_page_s_own_inline_scripts_and_no_others(
    client: AsyncClient, page: str
) -> None:
    """HD1."""
    response = await client.get(page)
    scripts = re.findall(r"<script>(.*?)</script>", response.text, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    assert policy(response)["script-src"] == ["'self'", *(f"'sha256-{d}'" for d in digests)]
    assert response.text.count("<script") == len(scripts) + response.text.count("<script src=")


@pytest.mark.parametrize("page", PAGES)
async def test_the_policy_restricts_the_page_to_this_server(client: AsyncClient, page: str) -> None:
    """HD1."""
    directives = policy(await client.get(page))
    del directives["script-src"]
    assert directives == {
        "default-src": ["'none'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "worker-src": ["blob:"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }


async def test_pages_behind_a_prefix_load_assets_from_below_it(app: FastAPI) -> None:
    transport = ASGITransport(app=app, root_path="/base")
    async with AsyncClient(transport=transport, base_url="http://testserver") as client:
        for page in PAGES[:2]:
            response = await client.get(f"/base{page}")
            assert all(link.startswith("/base/") for link in links(response))
            assert "/base/openapi.json" in response.text
        assert (await client.get("/base/openapi.json")).json()["servers"] == [{"url": "/base"}]


@pytest.mark.settings(DOCS_PATH_PREFIX="/internal")
async def test_pages_are_served_below_their_prefix_and_nowhere_else(client: AsyncClient) -> None:
    for page in PAGES[:2]:
        found = links(await client.get(f"/internal{page}"))
        assert len(found) >= 2
        for link in found:
            assert link.startswith("/internal/")
            assert (await client.get(link)).status_code == 200, link
    swagger = (await client.get("/internal/docs")).text
    assert "/internal/docs/oauth2-redirect" in swagger
    for path in (*PAGES, *ASSETS, "/openapi.json"):
        problem(await client.get(path), 404, "not_found")
        assert (await client.get(f"/internal{path}")).status_code == 200


@pytest.mark.settings(DOCS_ENABLED=False)
async def test_no_documentation_is_served_when_it_is_disabled(client: AsyncClient) -> None:
    for path in (*PAGES, *ASSETS, "/openapi.json"):
        problem(await client.get(path), 404, "not_found")


@pytest.mark.settings(DOCS_ENABLED=False)
async def test_the_api_is_served_when_the_documentation_is_disabled(client: AsyncClient) -> None:
    assert (await client.get("/health/live")).status_code == 200
