"""Prepared pages: lists read by statements that are compiled once."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Integer, bindparam, select

from examples.catalogue.db.session import Database
from examples.catalogue.models.item import Item, ItemStatus
from examples.catalogue.schemas.item_schemas import ItemListQuery
from mscr.queries.cursors import CursorCodec
from mscr.queries.pagination import Pager, PageRequest
from mscr.queries.prepared_pages import PreparedPages
from mscr.tests.data.conftest import make_user

PAGER = Pager(CursorCodec([b"k" * 32]))
TITLES = ["apple", "banana", "cherry", "damson"]
OWNED = select(Item.title, Item.public_id).where(
    Item.owner_id == bindparam("owner_id", type_=Integer)
)


@pytest.fixture
def pages() -> PreparedPages:
    """Return pages for which no statement is prepared yet."""
    choices = {"status": Item.status}
    return PreparedPages(Item, OWNED, {"title": Item.title}, choices=choices)


@pytest.fixture
async def owner_id(database: Database) -> int:
    async with database.sessions.begin() as session:
        owner = make_user("a@example.com")
        for number, title in enumerate(TITLES):
            status = ItemStatus.ARCHIVED if number % 2 else ItemStatus.ACTIVE
            session.add(Item(owner=owner, title=title, status=status))
        await session.flush()
        return owner.id


def requested(**query: Any) -> PageRequest:
    return PAGER.page_request(ItemListQuery(**{"sort": "title", **query}), "items", "viewer")


async def test_a_numbered_page_has_its_rows_and_the_total(
    pages: PreparedPages, database: Database, owner_id: int
) -> None:
    async with database.read_sessions() as session:
        for owner, titles, total in ((owner_id, ["damson"], 4), (owner_id + 1, [], 0)):
            request = requested(page=2, per_page=3)
            found = await pages.read(session, request, owner_id=owner)
            assert ([row.title for row in found.items], found.total) == (titles, total)


@pytest.mark.parametrize("size", [1, 3, 4, 5, 21, 100])
async def test_the_first_numbered_page_has_its_rows_and_the_total(
    pages: PreparedPages, database: Database, owner_id: int, size: int
) -> None:
    async with database.read_sessions() as session:
        for start, titles in ((None, TITLES[:size]), (2, TITLES[2 : 2 + size])):
            request = replace(requested(page=1, per_page=size), start=start)
            found = await pages.read(session, request, owner_id=owner_id)
            assert ([row.title for row in found.items], found.total) == (titles, len(TITLES))


@pytest.mark.parametrize("size", [1, 3, 4, 5, 200])
async def test_pages_by_cursor_are_all_rows_in_order(
    pages: PreparedPages, database: Database, owner_id: int, size: int
) -> None:
    titles: list[str] = []
    request = replace(requested(limit=1), size=size)
    async with database.read_sessions() as session:
        while True:
            found = await pages.read(session, request, owner_id=owner_id)
            assert len(found.items) <= size
            titles += [row.title for row in found.items]
            if found.next_key is None:
                break
            request = replace(request, after=found.next_key)

    assert titles == TITLES


async def test_each_filter_choice_has_its_own_rows(
    pages: PreparedPages, database: Database, owner_id: int
) -> None:
    expected = {"active": TITLES[::2], "archived": TITLES[1::2], "draft": []}
    async with database.read_sessions() as session:
        for status, titles in expected.items():
            for query in ({"page": 1}, {"limit": 9}):
                request = requested(status=[status], **query)
                assert pages.is_prepared_for(request)
                found = await pages.read(session, request, owner_id=owner_id)
                assert [row.title for row in found.items] == titles
                assert found.total in (None, len(titles))


@pytest.mark.parametrize(
    "query",
    [{"status": ["draft", "active"]}, {"title_prefix": "a"}, {"sort": "title,created_at"}],
)
def test_a_query_with_a_statement_of_its_own_is_not_prepared(
    pages: PreparedPages, query: dict[str, Any]
) -> None:
    assert pages.is_prepared_for(requested())
    assert not pages.is_prepared_for(requested(**query))
    assert not pages.is_prepared_for(replace(requested(), filters={"status": []}))


def test_a_free_text_column_is_no_choice() -> None:
    with pytest.raises(TypeError):
        PreparedPages(Item, OWNED, {"title": Item.title}, choices={"title": Item.title})
