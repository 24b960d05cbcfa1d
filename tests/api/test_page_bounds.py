"""Pages by number end at row 10,000; whoever follows the links reads on by cursor."""

from typing import Any

import pytest
from httpx2 import URL, Response
from sqlalchemy import text

from app.core.pagination import MAX_NUMBERED_ROWS
from app.db.session import Database
from app.main import create_app
from tests.api.test_list_links import ask, links
from tests.support.api import Account, Api
from tests.support.databases import on_sqlite
from tests.support.problems import faulty_fields

ITEMS = "/api/v1/items"
SEARCH = f"{ITEMS}/search"
ROWS = MAX_NUMBERED_ROWS + 150
MANY = """
INSERT INTO items
    (public_id, title, status, owner_id, created_at, updated_at, version, is_deleted)
WITH RECURSIVE numbers (n) AS (
    SELECT CAST(1 AS integer) UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows
)
SELECT '01890a5d-ac96-774b-bcce-' || (100000000000 + n), 'Thing ' || (100000 + n), 'active',
    users.id, users.created_at, users.created_at, 1, false
FROM numbers CROSS JOIN users
"""


@pytest.fixture
async def reader(api: Api, database: Database) -> Account:
    """The only user, who has more items than pages by number show."""
    account = await api.register()
    async with database.engine.begin() as connection:
        await connection.execute(text(MANY), {"rows": ROWS})
    return account


def list_paths() -> list[str]:
    return [
        path
        for path, operations in create_app().openapi()["paths"].items()
        for parameter in operations.get("get", {}).get("parameters", [])
        if parameter["name"] == "per_page"
    ]


async def get(api: Api, viewer: Account, path: str, **query: Any) -> Response:
    return await api.client.get(path, params=query, headers=viewer.headers)


@on_sqlite
@pytest.mark.parametrize("path", list_paths())
async def test_every_list_refuses_a_page_beyond_row_10_000_and_names_the_cursor(
    api: Api, path: str
) -> None:
    admin = await api.register_admin()
    words = {"q": "thing"} if path == SEARCH else {}
    for paging in ({"page": 500}, {"page": 333, "per_page": 30}, {"page": 10_000, "per_page": 1}):
        assert (await get(api, admin, path, **paging, **words)).status_code == 200, paging
    for paging in ({"page": 501}, {"page": 334, "per_page": 30}, {"page": 101, "per_page": 100}):
        refused = await get(api, admin, path, **paging, **words)

        assert faulty_fields(refused) == [["query", "page"]], paging
        assert "cursor" in refused.json()["detail"]
        assert "link" not in refused.headers


def test_every_list_documents_where_its_pages_end() -> None:
    paths = create_app().openapi()["paths"]
    for path in list_paths():
        [page] = [p for p in paths[path]["get"]["parameters"] if p["name"] == "page"]
        assert "10,000" in page["description"], path


async def follow_to_the_end(api: Api, viewer: Account, url: URL | str, **query: Any) -> list[str]:
    rows: list[str] = []
    while True:
        page = await ask(api, viewer, url, **query)
        rows += [row["title"] for row in page.json()["data"]]
        found, query = links(page), {}
        if "next" not in found:
            return rows
        url = found["next"]


@pytest.mark.parametrize("sort", ["title", "title,-created_at"])
async def test_whoever_follows_the_links_over_row_10_000_sees_each_row_once(
    api: Api, reader: Account, sort: str
) -> None:
    """By statements that are prepared, and by others."""
    rows = await follow_to_the_end(api, reader, ITEMS, page=98, per_page=100, sort=sort)
    assert rows == [f"Thing {100_000 + number}" for number in range(9_701, ROWS + 1)]


async def test_no_link_leads_to_a_page_that_is_refused(api: Api, reader: Account) -> None:
    for paging in ({"page": 333, "per_page": 30}, {"page": 332, "per_page": 30}):
        for url in links(await ask(api, reader, ITEMS, **paging)).values():
            await ask(api, reader, url)
    first = links(await ask(api, reader, ITEMS, per_page=100))
    assert first["last"].params["page"] == "100"


async def test_a_search_by_relevance_ends_there_and_by_another_order_goes_on(
    api: Api, reader: Account
) -> None:
    found = {
        sort: links(await ask(api, reader, SEARCH, q="thing", page=100, per_page=100, sort=sort))
        for sort in ("-relevance", "title")
    }
    assert "next" not in found["-relevance"]
    assert len((await ask(api, reader, found["title"]["next"])).json()["data"]) == 100
