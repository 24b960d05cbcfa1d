"""Plans of lists over many rows: each list reads an index, and a deep page costs no more."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import ColumnElement, text
from sqlalchemy.ext.asyncio import AsyncSession

from examples.catalogue.db.session import Database
from examples.catalogue.models.item import Item
from examples.catalogue.repositories.item_repository import ItemRepository
from examples.catalogue.repositories.item_view import visible_to
from examples.catalogue.repositories.tag_repository import TagRepository
from examples.catalogue.schemas.item_schemas import ItemListQuery, ItemSearchQuery
from examples.catalogue.schemas.tag_schemas import TagListQuery
from mscr.queries.cursors import CursorCodec
from mscr.queries.pagination import Pager, PageRequest, Slice
from mscr.repositories.owned_repository import OwnedRepository
from mscr.schemas.list_schemas import MAX_NUMBERED_ROWS
from mscr.testing.databases import on_postgresql
from mscr.testing.postgres import PostgresServer
from mscr.testing.waiting import connection_to
from mscr.tests.data.plans import Plan, Sent, explain, sent_to

ROWS = 40_000
# A third are soft-deleted: the newest, which a list meets first and has to skip. A fifth of the
# rest are the reader's. Rows come in pairs with the same `created_at`.
USERS = """
INSERT INTO users (public_id, email, email_key, password_hash)
SELECT 'user-' || n, 'user-' || n, 'user-' || n, 'x' FROM generate_series(1, 5) AS n
"""
ITEMS = """
INSERT INTO items (public_id, title, status, owner_id, created_at, updated_at, is_deleted)
SELECT
    'item-' || lpad(CAST(n AS text), 6, '0'),
    'Item ' || n * 7919 % :rows || CASE
        WHEN n % 1000 = 0 THEN ' seldom' WHEN n % 20 = 1 THEN ' often' ELSE ' usual'
    END,
    CASE WHEN n % 3 = 0 THEN 'draft' ELSE 'active' END,
    1 + n % 5,
    timestamptz '2026-01-01' + n / 2 * interval '1 minute',
    timestamptz '2026-01-01' + n * 7919 % :rows * interval '1 minute',
    n > :rows * 2 / 3
FROM generate_series(1, CAST(:rows AS integer)) AS n
"""
# Tags of the reader: OFTEN is on all of the reader's items, SELDOM on few. There are many others.
OFTEN, SELDOM = (f"01890a5d-ac96-774b-bcce-00000000000{n}" for n in (1, 2))
TAGS = f"""
INSERT INTO tags (public_id, name, name_key, owner_id)
SELECT id, id, id, 1 FROM (VALUES ('{OFTEN}'), ('{SELDOM}')) AS given (id)
UNION ALL SELECT 'tag-' || n, 'tag-' || n, 'tag-' || n, 1 + n % 5 FROM generate_series(1, 200) AS n
"""  # noqa: S608  # the names are the test's own
# Soft-deleted items have tags too, which a page has to skip until they are purged.
LINKS = f"""
INSERT INTO item_tags (item_id, tag_id, created_at, public_id)
SELECT items.id, tags.id, items.created_at, items.public_id FROM items JOIN tags ON
    CASE tags.name
        WHEN '{OFTEN}' THEN items.id % 5 = 0
        WHEN '{SELDOM}' THEN items.id % 1000 = 0
        ELSE tags.name = 'tag-' || items.id % 200 + 1
    END
WHERE items.id < :rows * 2 / 3 + 100
"""  # noqa: S608  # constants of this module
READER = 1
SIZE = 20
PAGER = Pager(CursorCodec([b"k" * 32]))

LISTS: list[tuple[str, dict[str, Any]]] = [
    ("list_visible", {}),
    ("list_visible", {"sort": "created_at"}),
    ("list_visible", {"sort": "-updated_at"}),
    ("list_visible", {"sort": "title"}),
    ("list_visible", {"sort": "title,-created_at"}),
    ("list_visible", {"status": ["active"]}),
    ("list_visible", {"status": ["draft"]}),
    ("list_visible", {"status": ["draft", "active"]}),
    ("list_visible", {"created_at_lte": "2026-01-09T00:00:00Z"}),
    ("list_visible", {"sort": "created_at", "created_at_gte": "2026-01-02T00:00:00Z"}),
    ("list_owned", {}),
    ("list_owned", {"sort": "title"}),
    ("list_owned", {"status": ["draft"]}),
    ("list_visible", {"tag": [OFTEN]}),
    ("list_visible", {"tag": [OFTEN], "sort": "created_at"}),
    ("list_visible", {"tag": [OFTEN], "status": ["active"]}),
    ("list_visible", {"tag": [OFTEN], "created_at_lte": "2026-01-09T00:00:00Z"}),
    ("list_owned", {"tag": [OFTEN]}),
    ("list_owned", {"tag_all": [OFTEN]}),
]
# Filters that few rows match: the query must find them without reading the other rows.
NEEDLES: list[dict[str, Any]] = [
    {"title_prefix": "Item 123"},
    {"title_prefix": "nothing"},
    {"status": ["archived"]},
    {"tag": [SELDOM]},
    {"tag": [SELDOM], "sort": "title"},
    {"tag_all": [SELDOM], "sort": "title"},
]
SEARCH_INDEX = "ix_items_search_vector"
# Enough for the inner index pages, the rows, their owners and tags. Reading every row would take
# thousands.
MOST_PAGES = 500


@pytest.fixture(scope="module")
def filled(postgres: PostgresServer, postgres_template: str) -> Iterator[str]:
    """Create a filled database to copy. Filling one for each test would take seconds more."""
    name = f"filled_{secrets.token_hex(8)}"
    asyncio.run(postgres.create_database(name, template=postgres_template))
    asyncio.run(fill(postgres.url(name)))
    yield name
    asyncio.run(postgres.drop_database(name))


async def fill(url: str) -> None:
    async with connection_to(url) as connection:
        await connection.execute(text(USERS))
        await connection.execute(text(ITEMS), {"rows": ROWS})
        await connection.execute(text(TAGS))
        await connection.execute(text(LINKS), {"rows": ROWS})
        # Every row is part of the sample (300 rows per unit): statistics, and so plans, are always
        # the same.
        await connection.execute(text("SET default_statistics_target = 140"))
        await connection.execute(text("VACUUM ANALYZE items, tags, item_tags"))


@pytest.fixture
def template(filled: str) -> str:
    return filled


async def fetch(database: Database, method: str, request: PageRequest) -> tuple[Plan, Slice[Item]]:
    """Return a page and the plan that found its rows."""
    async with database.sessions() as session:
        with sent_to(database.engine) as sent:
            found = await getattr(ItemRepository(session), method)(request, READER)
    [listed, *_] = [each for each in sent if "LIMIT" in each.statement]
    return await explain(database.engine, listed), found


def is_page(sent: Sent) -> bool:
    return "LIMIT" in sent.statement and "SELECT count(*) AS total" not in sent.statement


async def place_in(
    database: Database, method: str, request: PageRequest, *, share: float
) -> tuple[Any, ...]:
    """Return the sort key of the row at this share of the list, found by its page number."""
    total = (await fetch(database, method, replace(request, page=1)))[1].total or 0
    page = replace(request, page=int(total * share), size=1)
    row = (await fetch(database, method, page))[1].items[0]
    return (*(getattr(row, key.field) for key in request.sort), row.public_id)


@on_postgresql
async def test_a_page_costs_the_same_at_any_depth(database: Database) -> None:
    for method, values in LISTS:
        request = PAGER.page_request(ItemListQuery(limit=SIZE, **values), "items", "reader")
        first, beginning = await fetch(database, method, request)
        after = await place_in(database, method, request, share=0.9)
        deep, end = await fetch(database, method, replace(request, after=after))

        assert len(beginning.items) == len(end.items) == SIZE, values
        for plan in (first, deep):
            assert "items" not in plan.read_through, (method, values)
            assert plan.pages < MOST_PAGES, (method, values, plan.describe())
        # Below about five database pages per row, the difference is noise.
        most = 1.5 * max(first.pages, 5 * SIZE)
        assert deep.pages < most, (method, values, deep.describe())


@on_postgresql
async def test_displayed_values_are_computed_for_the_rows_of_the_page_only(
    database: Database,
) -> None:
    """The subqueries do not run for the rows that the page number skips."""
    for method, values in [*LISTS, ("list_visible", {"q": "often"})]:
        query = ItemListQuery(page=5, per_page=SIZE, **values)
        plan, found = await fetch(database, method, PAGER.page_request(query, "items", "reader"))

        assert len(found.items) == SIZE, values
        assert plan.computed == SIZE, (method, values, plan.describe())


@on_postgresql
async def test_search_and_tag_counts_are_computed_for_the_rows_of_the_page_only(
    database: Database,
) -> None:
    search = PAGER.page_request(ItemSearchQuery(q="often", page=5), "items/search", "reader")
    tags = PAGER.page_request(TagListQuery(page=2), "tags", "reader")
    async with database.sessions() as session:
        with sent_to(database.engine) as sent:
            found = await ItemRepository(session).search_visible(search, READER, words="often")
            counted = await TagRepository(session).list_owned(tags, READER)
    pages = [await explain(database.engine, each) for each in sent if is_page(each)]

    assert [len(found.items), len(counted.items)] == [SIZE, SIZE]
    assert [plan.computed for plan in pages] == [SIZE, SIZE]


@on_postgresql
async def test_a_total_is_counted_in_an_index_and_ends_at_its_bound(database: Database) -> None:
    """A table may begin with rows that do not match, and end with more rows than are counted."""
    for method, values in LISTS:
        request = PAGER.page_request(ItemListQuery(**values), "items", "reader")
        async with database.sessions() as session:
            with sent_to(database.engine) as sent:
                found = await getattr(ItemRepository(session), method)(request, READER)
        plan = await explain(database.engine, sent[-1])

        assert (found.total or 0) <= MAX_NUMBERED_ROWS + 1
        if "tag" not in values and "tag_all" not in values:
            assert "items" not in plan.read_through, (method, values, plan.describe())
            assert plan.pages < MOST_PAGES, (method, values, plan.describe())


@on_postgresql
@pytest.mark.parametrize("name", ["limit", "per_page"])
@pytest.mark.parametrize("size", [1, 20, 100])
async def test_a_first_page_uses_a_cached_generic_plan(
    database: Database, name: str, size: int
) -> None:
    query = ItemListQuery.model_validate({name: size})
    request = PAGER.page_request(query, "items", "reader")
    for _ in range(10):
        async with database.sessions() as session:
            await ItemRepository(session).list_visible(request, READER)

    async with database.engine.connect() as connection:
        planned = "SELECT generic_plans FROM pg_prepared_statements WHERE custom_plans = 5"
        # PostgreSQL makes five custom plans before it considers a generic plan.
        assert (await connection.scalars(text(planned))).all() == [5]


@on_postgresql
async def test_rare_rows_are_found_by_an_index(database: Database) -> None:
    for values in NEEDLES:
        request = PAGER.page_request(ItemListQuery(limit=SIZE, **values), "items", "reader")
        plan, _ = await fetch(database, "list_visible", request)
        assert plan.pages < MOST_PAGES, (values, plan.describe())


@on_postgresql
@pytest.mark.parametrize("words", ["1234", "seldom", "often", "usual", "item", "usual 12"])
@pytest.mark.parametrize("sort", ["-created_at", "title", "title,-updated_at"])
async def test_a_search_shows_the_first_matches_in_order_however_they_are_found(
    database: Database, words: str, sort: str
) -> None:
    """For a reader with many own rows and one with none."""
    for reader in (READER, 0):
        numbered = ItemSearchQuery(q=words, sort=sort, page=3)
        cursors = ItemSearchQuery(q=words, sort=sort, limit=100)
        wanted = await matches(database, words, sort, reader)
        async with database.sessions() as session:
            items = ItemRepository(session)
            request = PAGER.page_request(numbered, "items/search", "reader")
            page = await items.search_visible(request, reader, words=words)
            assert [row.public_id for row in page.items] == wanted[40:60]
            request, walked = PAGER.page_request(cursors, "items/search", "reader"), list[str]()
            for _ in range(3):
                found = await items.search_visible(request, reader, words=words)
                walked += [row.public_id for row in found.items]
                request = replace(request, after=found.next_key)
                if found.next_key is None:
                    break
            assert walked == wanted[:300]


async def matches(database: Database, words: str, sort: str, reader: int) -> list[str]:
    """Return the public ids of all visible rows with the words, found without an index."""
    pattern = "".join(f"(?=.*\\m{word})" for word in words.split())
    order = ", ".join(
        f"{key.lstrip('-')} {'DESC' * key.startswith('-')}" for key in sort.split(",")
    )
    last = "DESC" * sort.rsplit(",", maxsplit=1)[-1].startswith("-")
    statement = f"""
    SELECT public_id FROM items WHERE NOT is_deleted AND lower(title) ~ :pattern
        AND (status = 'active' OR owner_id = :reader) ORDER BY {order}, public_id {last}
    """  # noqa: S608  # the test's own names
    async with database.engine.connect() as connection:
        found = await connection.scalars(text(statement), {"pattern": pattern, "reader": reader})
        return list(found)


class PlainItemRepository(OwnedRepository[Item]):
    """Items as a plain resource, with the visibility of the catalogue's own."""

    model = Item
    searched = True

    def visible_to(self, viewer_id: Any) -> Sequence[ColumnElement[bool]]:
        return visible_to(viewer_id)


async def search_items(session: AsyncSession, request: PageRequest, words: str) -> Slice[Any]:
    return await ItemRepository(session).search_visible(request, READER, words=words)


async def search_plain(session: AsyncSession, request: PageRequest, words: str) -> Slice[Any]:
    # Without the filters by tags, which a plain resource lacks.
    request = replace(request, filters={"q": words})
    return await PlainItemRepository(session).read_page(request, ("title",), viewer_id=READER)


Search = Callable[[AsyncSession, PageRequest, str], Awaitable[Slice[Any]]]
by_each_repository = pytest.mark.parametrize("search", [search_items, search_plain])


@on_postgresql
@by_each_repository
async def test_a_rare_word_is_found_by_the_search_index(database: Database, search: Search) -> None:
    for word, total in (("1234", 4), ("nothing", 0), ("seldom often", 0), ("usual often", 0)):
        request = PAGER.page_request(ItemSearchQuery(q=word), "items/search", "reader")
        async with database.sessions() as session:
            with sent_to(database.engine) as sent:
                found = await search(session, request, word)
        assert found.total == total, word
        for plan in [await explain(database.engine, statement) for statement in sent]:
            assert SEARCH_INDEX in plan.indexes, (word, plan.describe())


@on_postgresql
@by_each_repository
@pytest.mark.parametrize(("words", "most"), [("usual", 2_002), ("item", 2_002), ("often", 20_000)])
async def test_a_search_for_a_frequent_word_ends_with_its_first_matches(
    database: Database, search: Search, words: str, most: int
) -> None:
    """Nearly all rows have the first two words, one of twenty has the last.

    1,001 matches of each alternative are 2,002.
    """
    by_title = ItemSearchQuery(q=words, limit=SIZE, sort="title")
    for query in (ItemSearchQuery(q=words), by_title):
        request = PAGER.page_request(query, "items/search", "reader")
        async with database.sessions() as session:
            with sent_to(database.engine) as sent:
                await search(session, request, words)
        for plan in [await explain(database.engine, statement) for statement in sent]:
            assert SEARCH_INDEX not in plan.indexes, (query, plan.describe())
            assert max(n["Actual Rows"] for n in plan.nodes()) <= most, plan.describe()


@on_postgresql
async def test_the_tags_of_a_page_and_the_counts_of_tags_are_read_by_an_index(
    database: Database,
) -> None:
    request = PAGER.page_request(ItemListQuery(limit=SIZE), "items", "reader")
    async with database.sessions() as session:
        with sent_to(database.engine) as sent:
            await ItemRepository(session).list_owned(request, READER)
            await TagRepository(session).list_owned(request_for_tags(), READER)
    items, tags = [await explain(database.engine, statement) for statement in sent]

    assert "item_tags" not in items.read_through, items.describe()
    assert items.pages < MOST_PAGES
    assert "ix_item_tags_tag_id_created_at" in tags.indexes, tags.describe()


def request_for_tags() -> PageRequest:
    return PAGER.page_request(TagListQuery(limit=SIZE), "tags", "reader")
