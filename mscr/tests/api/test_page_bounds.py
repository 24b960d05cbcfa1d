"""Totals and numbered pages end at row 10,000; `Link` headers continue by cursor."""

from typing import Any

import pytest
from httpx2 import URL, Response
from sqlalchemy import text

from examples.catalogue.db.session import Database
from examples.catalogue.main import create_app
from examples.catalogue.tests.api import Api
from mscr.schemas.list_schemas import MAX_NUMBERED_ROWS
from mscr.testing.api import Account
from mscr.testing.databases import on_sqlite
from mscr.testing.problems import faulty_fields
from mscr.testing.statements import StatementCounter
from mscr.tests.api.test_list_links import ask, links

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
    """Register the only user, with more items than numbered pages can show."""
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
async def test_every_list_refuses_a_page_beyond_row_10_000_and_points_to_cursors(
    api: Api, path: str
) -> None:
    admin = await api.register_admin()
    # A search has a tenth of the pages.
    query: dict[str, Any] = {"q": "thing"} if path == SEARCH else {}
    tenth = 10 if path == SEARCH else 1
    for page, per_page in ((500, 20), (330, 30), (10_000, 1)):
        query |= {"page": page // tenth, "per_page": per_page}
        assert (await get(api, admin, path, **query)).status_code == 200, query
    for page, per_page in ((510, 20), (340, 30), (110, 100)):
        query |= {"page": page // tenth, "per_page": per_page}
        refused = await get(api, admin, path, **query)

        assert faulty_fields(refused) == [["query", "page"]], query
        assert "cursor" in refused.json()["detail"]
        assert "link" not in refused.headers


def test_every_list_documents_where_its_pages_end() -> None:
    paths = create_app().openapi()["paths"]
    for path in list_paths():
        [page] = [p for p in paths[path]["get"]["parameters"] if p["name"] == "page"]
        assert "row 10,000, those of a search (`q`) at row 1,000" in page["description"], path


async def keep(database: Database, rows: int) -> None:
    async with database.engine.begin() as connection:
        await connection.execute(text("DELETE FROM items WHERE id > :rows"), {"rows": rows})


async def pages_of(api: Api, viewer: Account, path: str, **query: Any) -> tuple[Any, ...]:
    """Return the total and its relation, the pages, and the page that `last` links to."""
    page = await ask(api, viewer, path, **query)
    total, relation, pages = (page.json()["meta"][n] for n in ("total", "total_relation", "pages"))
    last = links(page).get("last")
    return total, relation, pages, last and int(last.params["page"])


@pytest.mark.parametrize("query", [{}, {"status": "active"}, {"status": ["active", "draft"]}])
@pytest.mark.parametrize("path", [ITEMS, f"{ITEMS}/my"])
async def test_totals_are_exact_to_10_000_and_then_at_least(
    api: Api, reader: Account, database: Database, path: str, query: dict[str, Any]
) -> None:
    """With filters whose statements are prepared, and others. Own rows are published, too."""
    found = {}
    for rows in (ROWS, 10_001, 10_000, 9_999):
        await keep(database, rows)
        found[rows] = await pages_of(api, reader, path, **query)

    assert found == {
        ROWS: (10_000, "gte", 500, None),
        10_001: (10_000, "gte", 500, None),
        10_000: (10_000, "eq", 500, 500),
        9_999: (9_999, "eq", 500, 500),
    }


async def test_pages_are_those_that_have_a_number_and_a_cursor_follows_the_last(
    api: Api, reader: Account, database: Database
) -> None:
    """With 9,995 rows, the 334th page of 30 rows would end beyond row 10,000."""
    await keep(database, 9_995)
    assert await pages_of(api, reader, ITEMS, per_page=30) == (9_995, "eq", 333, None)
    rows = await follow_to_the_end(api, reader, ITEMS, page=333, per_page=30, sort="title")
    assert rows == [f"Thing {100_000 + number}" for number in range(9_961, 9_996)]


async def test_the_last_page_shows_the_total_without_counting(
    api: Api, reader: Account, database: Database, queries: StatementCounter
) -> None:
    await keep(database, 41)
    for page in (1, 2, 3, 4):
        with queries.counted() as statements:
            found = await pages_of(api, reader, ITEMS, page=page, sort="title,created_at")
        assert found == (41, "eq", 3, 3)
        assert any("count(*)" in each for each in statements) == (page != 3), page


async def test_a_prepared_page_shows_the_total_in_one_statement(
    api: Api, reader: Account, database: Database, queries: StatementCounter
) -> None:
    await keep(database, 41)
    for page in (1, 2, 3):
        with queries.counted() as statements:
            assert await pages_of(api, reader, ITEMS, page=page) == (41, "eq", 3, 3)
        assert len([each for each in statements if "FROM items" in each]) == 1

    # No row of a page beyond the end could have the total.
    assert await pages_of(api, reader, ITEMS, page=4) == (41, "eq", 3, 3)


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
async def test_following_the_links_past_row_10_000_shows_each_row_once(
    api: Api, reader: Account, sort: str
) -> None:
    """With a sort whose statement is prepared, and with another."""
    rows = await follow_to_the_end(api, reader, ITEMS, page=98, per_page=100, sort=sort)
    assert rows == [f"Thing {100_000 + number}" for number in range(9_701, ROWS + 1)]


async def test_no_link_leads_to_a_page_that_is_refused(api: Api, reader: Account) -> None:
    for paging in ({"page": 333, "per_page": 30}, {"page": 332, "per_page": 30}):
        for url in links(await ask(api, reader, ITEMS, **paging)).values():
            await ask(api, reader, url)


async def test_a_search_ends_at_row_1_000_by_relevance_and_continues_in_other_orders(
    api: Api, reader: Account
) -> None:
    found = {
        sort: links(await ask(api, reader, SEARCH, q="thing", page=10, per_page=100, sort=sort))
        for sort in ("-relevance", "title")
    }
    assert "next" not in found["-relevance"]
    rows = (await ask(api, reader, found["title"]["next"])).json()["data"]
    assert [row["title"] for row in rows] == [f"Thing {101_000 + n}" for n in range(1, 101)]


async def test_the_total_of_a_search_is_exact_to_1_000_and_then_at_least(
    api: Api, reader: Account, database: Database
) -> None:
    found = {}
    for rows in (ROWS, 1_001, 1_000, 999):
        await keep(database, rows)
        for path, sort in ((SEARCH, "-relevance"), (SEARCH, "title"), (ITEMS, "-created_at")):
            found[rows, path, sort] = await pages_of(api, reader, path, q="thing", sort=sort)

    expected = {
        ROWS: (1_000, "gte", 50, None),
        1_001: (1_000, "gte", 50, None),
        1_000: (1_000, "eq", 50, 50),
        999: (999, "eq", 50, 50),
    }
    assert found == {key: expected[key[0]] for key in found}


async def test_each_page_of_a_ranked_search_has_other_rows(api: Api, reader: Account) -> None:
    """A search by relevance ranks the newest 1,000 matches, here those of the last ids."""
    pages = [
        (await ask(api, reader, SEARCH, q="thing", page=page, per_page=100)).json()["data"]
        for page in range(1, 11)
    ]
    rows = [row["title"] for page in pages for row in page]
    newest = [f"Thing {100_000 + number}" for number in range(ROWS, ROWS - 1_000, -1)]
    assert rows == newest
