"""`Link` headers: pagination without building URLs (RFC 8288)."""

import re
from typing import Any

from httpx2 import URL, Response

from examples.catalogue.main import create_app
from examples.catalogue.tests.api import Api
from mscr.core.links import MAX_LINKS_LENGTH, announce_links, link_header
from mscr.testing.api import Account
from mscr.testing.databases import on_sqlite

ITEMS = "/api/v1/items"
MY = f"{ITEMS}/my"
LINK = re.compile(r'<([^<>]*)>; rel="(\w+)"')


async def ask(api: Api, viewer: Account, url: URL | str, **query: Any) -> Response:
    response = await api.client.get(url, params=query or None, headers=viewer.headers)
    assert response.status_code == 200, response.text
    return response


def links(response: Response) -> dict[str, URL]:
    """Return the URL of each relation, resolved against the request's URL as clients do."""
    found = LINK.findall(response.headers["link"])
    assert ", ".join(f'<{t}>; rel="{r}"' for t, r in found) == response.headers["link"]
    return {relation: response.url.join(target) for target, relation in found}


def titles(response: Response) -> str:
    return "".join(row["title"] for row in response.json()["data"])


async def create_titled(api: Api, owner: Account, names: str, **values: Any) -> None:
    for name in names:
        await api.create_item(owner, title=name, **values)


async def test_links_lead_from_page_to_page(api: Api) -> None:
    owner = await api.register()
    await create_titled(api, owner, "abcde")

    middle = await ask(api, owner, MY, per_page=2, page=2, sort="title")
    around = {name: titles(await ask(api, owner, url)) for name, url in links(middle).items()}

    assert titles(middle) == "cd"
    assert around == {"next": "e", "prev": "ab", "first": "ab", "last": "e"}


PLACES: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({}, {"first": "1", "last": "1"}),
    ({"per_page": 2}, {"next": "2", "first": "1", "last": "3"}),
    ({"per_page": 2, "page": 3}, {"prev": "2", "first": "1", "last": "3"}),
    ({"per_page": 2, "page": 9}, {"prev": "3", "first": "1", "last": "3"}),
    ({"title_prefix": "x"}, {"first": "1", "last": "1"}),
    ({"title_prefix": "x", "page": 2}, {"prev": "1", "first": "1", "last": "1"}),
]


async def test_there_is_no_link_to_a_page_that_does_not_exist(api: Api) -> None:
    owner = await api.register()
    await create_titled(api, owner, "abcde")
    for query, expected in PLACES:
        found = links(await ask(api, owner, MY, **query))
        assert {name: url.params["page"] for name, url in found.items()} == expected, query


async def test_links_lead_from_cursor_to_cursor_and_back_to_the_first(api: Api) -> None:
    owner = await api.register()
    await create_titled(api, owner, "abcde")

    first = await ask(api, owner, MY, limit=2, sort="title")
    second = await ask(api, owner, links(first)["next"])
    third = await ask(api, owner, links(second)["next"])

    assert [titles(page) for page in (first, second, third)] == ["ab", "cd", "e"]
    assert [links(page).keys() for page in (first, third)] == [{"next", "first"}, {"first"}]
    assert titles(await ask(api, owner, links(third)["first"])) == "ab"


async def test_links_keep_the_other_parameters(api: Api) -> None:
    owner = await api.register()
    await create_titled(api, owner, "ab", status="draft", description="50 % <new> & späť")
    query = {
        "status": ["draft", "archived"],
        "q": '50 % <new> & "späť"',
        "created_at_gte": "2026-01-01T00:00:00.5+01:00",
        "description_null": "false",
        "sort": "-title",
    }
    for paging in ({"per_page": 1}, {"limit": 1}):
        page = await ask(api, owner, ITEMS, **query, **paging)
        following = await ask(api, owner, links(page)["next"])

        assert (titles(page), titles(following)) == ("b", "a")
        params = following.url.params
        assert params.get_list("status") == query["status"]
        assert {name: params[name] for name in ("q", "description_null", "sort")} == {
            name: query[name] for name in ("q", "description_null", "sort")
        }


async def test_links_of_a_search_keep_its_order(api: Api) -> None:
    owner = await api.register()
    for title in ("milk b", "milk a"):
        await api.create_item(owner, title=title)
    search = f"{ITEMS}/search"
    first = await ask(api, owner, search, q="milk", limit=1)
    second = await ask(api, owner, links(first)["next"])
    assert (titles(first), titles(second)) == ("milk a", "milk b")


@on_sqlite
async def test_links_are_relative_to_the_url_of_the_request(api: Api) -> None:
    owner = await api.register()
    response = await ask(api, owner, MY)
    assert all(target.startswith("?") for target, _ in LINK.findall(response.headers["link"]))


@on_sqlite
async def test_only_lists_have_links(api: Api) -> None:
    owner = await api.register()
    await ask(api, owner, MY)
    item = await api.create_item(owner)
    assert "link" not in (await ask(api, owner, f"{ITEMS}/{item['public_id']}")).headers
    refused = await api.client.get(MY, params={"page": 0}, headers=owner.headers)
    assert "link" not in refused.headers


@on_sqlite
async def test_the_longest_query_has_a_next_page_in_a_header_of_acceptable_length(api: Api) -> None:
    owner = await api.register()
    await create_titled(api, owner, "abc", description="a")
    page = await ask(api, owner, MY, q="a" + "\U0001f95b" * 199, per_page=1, page=2)
    assert len(page.headers["link"]) < 2 * MAX_LINKS_LENGTH
    assert links(page).keys() == {"next"}


def test_the_first_link_is_kept_however_long() -> None:
    target = "?" + "a" * MAX_LINKS_LENGTH
    assert link_header({"next": target, "first": "?"}) == f'<{target}>; rel="next"'


def test_announcing_links_outside_a_request_does_nothing() -> None:
    announce_links({"next": "?page=2"})


def test_every_list_documents_its_links() -> None:
    for path, operations in create_app().openapi()["paths"].items():
        for method, operation in operations.items():
            takes_pages = any(p["name"] == "per_page" for p in operation.get("parameters", []))
            documented = "Link" in operation["responses"].get("200", {}).get("headers", {})
            assert documented == takes_pages, (method, path)
