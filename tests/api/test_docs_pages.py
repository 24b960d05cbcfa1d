"""The documentation's pages load nothing from other hosts, and their policy allows nothing else."""

import base64
import hashlib
import re

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response

from tests.support.databases import on_sqlite
from tests.support.problems import problem

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
async def test_a_page_names_no_other_host(client: AsyncClient, page: str) -> None:
    response = await client.get(page)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert re.findall(r"https?:|[\"']//|@import", response.text) == []


@pytest.mark.parametrize("page", PAGES[:2])
async def test_all_that_a_page_loads_is_there(client: AsyncClient, page: str) -> None:
    found = links(await client.get(page))
    assert len(found & ASSETS.keys()) >= 2
    for link in found:
        assert (await client.get(link)).status_code == 200, link


@pytest.mark.parametrize(("asset", "kind"), ASSETS.items())
async def test_an_asset_is_served_as_what_it_is(client: AsyncClient, asset: str, kind: str) -> None:
    response = await client.get(asset)
    assert response.headers["content-type"].startswith(kind)
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_no_logo_is_fetched_from_the_maker_of_a_page(client: AsyncClient) -> None:
    """The policy would keep it away, and complain on the console of whoever reads the page."""
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
async def test_the_policy_leaves_the_page_nothing_but_this_server(
    client: AsyncClient, page: str
) -> None:
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


async def test_pages_behind_a_prefix_load_from_behind_it(app: FastAPI) -> None:
    transport = ASGITransport(app=app, root_path="/base")
    async with AsyncClient(transport=transport, base_url="http://testserver") as client:
        for page in PAGES[:2]:
            response = await client.get(f"/base{page}")
            assert all(link.startswith("/base/") for link in links(response))
            assert "/base/openapi.json" in response.text
        assert (await client.get("/base/openapi.json")).json()["servers"] == [{"url": "/base"}]


@pytest.mark.settings(DOCS_ENABLED=False)
async def test_switched_off_nothing_of_the_documentation_is_there(client: AsyncClient) -> None:
    for path in (*PAGES, *ASSETS, "/openapi.json"):
        problem(await client.get(path), 404, "not_found")


@pytest.mark.settings(DOCS_ENABLED=False)
async def test_switched_off_the_api_is_still_there(client: AsyncClient) -> None:
    assert (await client.get("/health/live")).status_code == 200
