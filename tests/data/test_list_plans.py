"""Lists of many rows: how deep a page is costs nothing, and each is read by an index."""

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from app.core.pagination import CursorCodec, Pager, PageRequest, Slice
from app.db.session import Database
from app.models import Item
from app.repositories.item_repository import ItemRepository
from app.repositories.tag_repository import TagRepository
from app.schemas.item_schemas import ItemListQuery, ItemSearchQuery
from app.schemas.tag_schemas import TagListQuery
from tests.data.faults import connection_to
from tests.data.plans import Plan, explain, sent_to
from tests.support.databases import on_postgresql
from tests.support.postgres import PostgresServer

ROWS = 40_000
# A third are deleted: those at the end that a list begins with, so that they would be in the way.
# Of the rest a fifth are the reader's. Two are always of the same time.
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
# The reader's: one of all items of theirs, one of few. And many others.
OFTEN, SELDOM = (f"01890a5d-ac96-774b-bcce-00000000000{n}" for n in (1, 2))
TAGS = f"""
INSERT INTO tags (public_id, name, name_key, owner_id)
SELECT id, id, id, 1 FROM (VALUES ('{OFTEN}'), ('{SELDOM}')) AS given (id)
UNION ALL SELECT 'tag-' || n, 'tag-' || n, 'tag-' || n, 1 + n % 5 FROM generate_series(1, 200) AS n
"""  # noqa: S608  # the test's own names
# Some of the deleted items too, which a page has to step over until they are purged.
LINKS = f"""
INSERT INTO item_tags (item_id, tag_id, created_at, public_id)
SELECT items.id, tags.id, items.created_at, items.public_id FROM items JOIN tags ON
    CASE tags.name
        WHEN '{OFTEN}' THEN items.id % 5 = 0
        WHEN '{SELDOM}' THEN items.id % 1000 = 0
        ELSE tags.name = 'tag-' || items.id % 200 + 1
    END
WHERE items.id < :rows * 2 / 3 + 100
"""  # noqa: S608
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
# What few rows fit: to be found without looking at the others.
NEEDLES: list[dict[str, Any]] = [
    {"title_prefix": "Item 123"},
    {"title_prefix": "nothing"},
    {"q": "seldom"},
    {"q": "nothing"},
    {"q": "seldom often", "sort": "title"},
    {"status": ["archived"]},
    {"tag": [SELDOM]},
    {"tag": [SELDOM], "sort": "title"},
    {"tag_all": [SELDOM], "sort": "title"},
]
# Index pages on the way down, the rows, their owners and tags. As many as there are rows would be
# thousands.
MOST_PAGES = 500


@pytest.fixture(scope="module")
def filled(postgres: PostgresServer, postgres_template: str) -> Iterator[str]:
    """A database to make copies of, which takes seconds less than to fill each."""
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
        await connection.execute(text("VACUUM ANALYZE items, tags, item_tags"))


@pytest.fixture
def template(filled: str) -> str:
    return filled


async def fetch(database: Database, method: str, request: PageRequest) -> tuple[Plan, Slice[Item]]:
    """A page, and how its rows were found."""
    async with database.sessions() as session:
        with sent_to(database.engine) as sent:
            found = await getattr(ItemRepository(session), method)(request, READER)
    [listed, *_] = [each for each in sent if "LIMIT" in each.statement]
    return await explain(database.engine, listed), found


async def place_in(
    database: Database, method: str, request: PageRequest, *, share: float
) -> tuple[Any, ...]:
    """Where one is after so much of a list, by the number of the page."""
    total = (await fetch(database, method, replace(request, page=1)))[1].total or 0
    page = replace(request, page=int(total * share), size=1)
    row = (await fetch(database, method, page))[1].items[0]
    return (*(getattr(row, key.field) for key in request.sort), row.public_id)


@on_postgresql
async def test_a_page_costs_the_same_at_any_depth(database: Database) -> None:
    for method, values in LISTS:
        request = PAGER.open(ItemListQuery(limit=SIZE, **values), "items", "reader")
        first, beginning = await fetch(database, method, request)
        after = await place_in(database, method, request, share=0.9)
        deep, end = await fetch(database, method, replace(request, after=after))

        assert len(beginning.items) == len(end.items) == SIZE, values
        for plan in (first, deep):
            assert "items" not in plan.read_through, (method, values)
            assert plan.pages < MOST_PAGES, (method, values, plan.describe())
        # Below some five pages of the database a row, there is nothing to compare.
        most = 1.5 * max(first.pages, 5 * SIZE)
        assert deep.pages < most, (method, values, deep.describe())


@on_postgresql
async def test_what_is_shown_is_looked_up_for_the_rows_of_the_page_alone(
    database: Database,
) -> None:
    """Not for those that its number steps over."""
    for method, values in [*LISTS, ("list_visible", {"q": "often"})]:
        query = ItemListQuery(page=5, per_page=SIZE, **values)
        plan, found = await fetch(database, method, PAGER.open(query, "items", "reader"))

        assert len(found.items) == SIZE, values
        assert plan.computed == SIZE, (method, values, plan.describe())


@on_postgresql
async def test_a_search_and_the_counts_of_tags_are_computed_for_a_page_alone(
    database: Database,
) -> None:
    search = PAGER.open(ItemSearchQuery(q="often", page=5), "items/search", "reader")
    tags = PAGER.open(TagListQuery(page=2), "tags", "reader")
    async with database.sessions() as session:
        with sent_to(database.engine) as sent:
            found = await ItemRepository(session).search_visible(search, READER, words="often")
            counted = await TagRepository(session).list_owned(tags, READER)
    pages = [await explain(database.engine, each) for each in sent if "LIMIT" in each.statement]

    assert [len(found.items), len(counted.items)] == [SIZE, SIZE]
    assert [plan.computed for plan in pages] == [SIZE, SIZE]


@on_postgresql
@pytest.mark.parametrize("size", [1, 20, 100])
async def test_a_page_is_planned_once_and_not_for_each_request(
    database: Database, size: int
) -> None:
    request = PAGER.open(ItemListQuery(limit=size), "items", "reader")
    for _ in range(10):
        async with database.sessions() as session:
            await ItemRepository(session).list_visible(request, READER)

    async with database.engine.connect() as connection:
        planned = "SELECT generic_plans FROM pg_prepared_statements WHERE custom_plans = 5"
        # The first five plans are PostgreSQL's attempts.
        assert (await connection.scalars(text(planned))).all() == [5]


@on_postgresql
async def test_a_needle_is_found_by_an_index(database: Database) -> None:
    for values in NEEDLES:
        request = PAGER.open(ItemListQuery(limit=SIZE, **values), "items", "reader")
        plan, _ = await fetch(database, "list_visible", request)
        assert plan.pages < MOST_PAGES, (values, plan.describe())


@on_postgresql
async def test_words_are_found_by_their_index_be_they_rare_or_frequent(database: Database) -> None:
    for word in ("seldom", "often"):
        search = ItemSearchQuery(q=word)
        request = PAGER.open(search, "items/search", "reader")
        async with database.sessions() as session:
            with sent_to(database.engine) as sent:
                found = await ItemRepository(session).search_visible(request, READER, words=word)
        items, total = [await explain(database.engine, statement) for statement in sent]

        assert found.total, word
        for plan in (items, total):
            assert "ix_items_search_vector" in plan.indexes, (word, plan.describe())


@on_postgresql
async def test_the_tags_of_a_page_and_the_counts_of_tags_are_read_by_an_index(
    database: Database,
) -> None:
    request = PAGER.open(ItemListQuery(limit=SIZE), "items", "reader")
    async with database.sessions() as session:
        with sent_to(database.engine) as sent:
            await ItemRepository(session).list_owned(request, READER)
            await TagRepository(session).list_owned(request_for_tags(), READER)
    items, tags = [await explain(database.engine, statement) for statement in sent]

    assert "item_tags" not in items.read_through, items.describe()
    assert items.pages < MOST_PAGES
    assert "ix_item_tags_tag_id_created_at" in tags.indexes, tags.describe()


def request_for_tags() -> PageRequest:
    return PAGER.open(TagListQuery(limit=SIZE), "tags", "reader")
