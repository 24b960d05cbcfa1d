"""Lists of items: visibility, sort order and pagination."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from examples.catalogue.db.session import Database
from examples.catalogue.models.item import Item
from examples.catalogue.tests.api import Api
from mscr.testing.api import Account
from mscr.testing.table_rows import set_columns
from mscr.testing.walking import fetch, titles, walk

ITEMS = "/api/v1/items"
MY = f"{ITEMS}/my"
SEARCH = f"{ITEMS}/search"


async def create_titled(api: Api, owner: Account, titles: Sequence[str], **values: Any) -> None:
    for title in titles:
        await api.create_item(owner, title=title, **values)


async def test_the_list_holds_published_items_and_the_callers_own(api: Api) -> None:
    reader, other = await api.register(), await api.register()
    for status in ("draft", "active", "archived"):
        await api.create_item(reader, title=f"own {status}", status=status)
        await api.create_item(other, title=f"other {status}", status=status)

    page = await fetch(api, reader, ITEMS, sort="title")

    assert titles(page) == ["other active", "own active", "own archived", "own draft"]


async def test_an_administrator_lists_no_drafts_of_others(api: Api) -> None:
    admin, other = await api.register_admin(), await api.register()
    await api.create_item(other, status="draft")
    assert (await fetch(api, admin, ITEMS))["data"] == []


async def test_my_list_holds_only_the_callers_items(api: Api) -> None:
    owner, other = await api.register(), await api.register()
    await create_titled(api, owner, ["mine"])
    await create_titled(api, other, ["theirs"], status="active")
    assert titles(await fetch(api, owner, MY)) == ["mine"]


async def test_a_status_filters_every_list(api: Api) -> None:
    owner = await api.register()
    for status in ("draft", "active", "archived"):
        await api.create_item(owner, title=status, description="word", status=status)

    for path, query in ((ITEMS, {}), (MY, {}), (SEARCH, {"q": "word"})):
        page = await fetch(api, owner, path, status="archived", **query)
        assert (titles(page), page["meta"]["total"]) == (["archived"], 1), path


async def test_the_newest_come_first_by_default(api: Api) -> None:
    owner = await api.register()
    await create_titled(api, owner, ["b", "a", "c"])

    assert titles(await fetch(api, owner, MY)) == ["c", "a", "b"]
    assert titles(await fetch(api, owner, MY, sort="created_at")) == ["b", "a", "c"]
    assert titles(await fetch(api, owner, MY, sort="title")) == ["a", "b", "c"]
    assert titles(await fetch(api, owner, MY, sort="-title")) == ["c", "b", "a"]


def offset_meta(**values: int) -> dict[str, Any]:
    exact = {"total": 7, "total_relation": "eq"}
    return {"page": 1, "per_page": 20, "pages": 1, **exact, **values}


PAGES: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({}, "gfedcba", offset_meta()),
    ({"per_page": 7}, "gfedcba", offset_meta(per_page=7)),
    ({"per_page": 3}, "gfe", offset_meta(per_page=3, pages=3)),
    ({"per_page": 3, "page": 2}, "dcb", offset_meta(page=2, per_page=3, pages=3)),
    ({"per_page": 3, "page": 3}, "a", offset_meta(page=3, per_page=3, pages=3)),
    ({"per_page": 3, "page": 4}, "", offset_meta(page=4, per_page=3, pages=3)),
    ({"page": 500}, "", offset_meta(page=500)),
    ({"page": 10_000, "per_page": 1}, "", offset_meta(page=10_000, per_page=1, pages=7)),
    ({"limit": 7}, "gfedcba", {"limit": 7, "next_cursor": None}),
    ({"cursor": ""}, "gfedcba", {"limit": 20, "next_cursor": None}),
]


async def test_a_page_has_its_number_and_the_total(api: Api) -> None:
    owner = await api.register()
    await create_titled(api, owner, "abcdefg")

    pages = [(query, await fetch(api, owner, MY, **query)) for query, *_ in PAGES]

    assert [(query, "".join(titles(page)), page["meta"]) for query, page in pages] == PAGES


async def test_an_empty_list_has_no_pages(api: Api) -> None:
    page = await fetch(api, await api.register(), ITEMS)
    assert page["data"] == []
    assert page["meta"] == offset_meta(total=0, pages=0)


SORTS = [
    ",".join(sign + column for sign, column in zip(signs, columns, strict=True))
    for columns in (("title",), ("title", "created_at"), ("created_at", "updated_at", "title"))
    for signs in itertools.product(("", "-"), repeat=len(columns))
]


def in_order(rows: list[dict[str, Any]], sort: str) -> list[dict[str, Any]]:
    """Sort in Python as the API should: the public id breaks ties, in the last key's direction."""
    keys = sort.split(",")
    keys.append("-public_id" if keys[-1].startswith("-") else "public_id")
    for key in reversed(keys):
        rows = sorted(rows, key=lambda row: row[key.lstrip("-")], reverse=key.startswith("-"))
    return rows


async def create_with_equal_values(api: Api, database: Database, owner: Account) -> None:
    """Create eight rows from two titles and two times, so that every sort key has ties."""
    times = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2)]
    for title, created, updated in itertools.product("ab", times, times):
        item = await api.create_item(owner, title=title)
        when = {"created_at": created, "updated_at": updated}
        await set_columns(database, Item, item["public_id"], **when)


async def test_a_walk_returns_every_row_once_and_in_order_for_every_sort(
    api: Api, database: Database
) -> None:
    owner = await api.register()
    await create_with_equal_values(api, database, owner)
    rows = (await fetch(api, owner, MY, per_page=100))["data"]

    walked = {sort: await walk(api, owner, MY, sort=sort, limit=3) for sort in SORTS}

    assert walked == {sort: in_order(rows, sort) for sort in SORTS}


async def test_a_walk_ends_after_the_last_row_for_every_page_size(api: Api) -> None:
    owner = await api.register()
    await create_titled(api, owner, "abcdef")

    for limit in (1, 2, 5, 6, 7):
        rows = await walk(api, owner, MY, limit=limit, sort="title")
        assert [row["title"] for row in rows] == list("abcdef")


@pytest.mark.parametrize("path", [ITEMS, MY])
async def test_concurrent_inserts_and_deletes_do_not_disturb_a_walk(api: Api, path: str) -> None:
    owner = await api.register()
    await create_titled(api, owner, "bfj", status="active")
    await create_titled(api, owner, "dh")
    first = await fetch(api, owner, path, limit=2, sort="title")

    await create_titled(api, owner, "ag")  # one before and one after the cursor
    for row in first["data"]:  # including the row that the cursor was made from
        await api.client.delete(f"{ITEMS}/{row['public_id']}", headers=owner.headers)
    cursor = first["meta"]["next_cursor"]
    second = await fetch(api, owner, path, limit=9, sort="title", cursor=cursor)

    assert titles(first) + titles(second) == list("bdfghj")
