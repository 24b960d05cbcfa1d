"""Query parameters of lists: unknown and out-of-range ones and foreign cursors are refused."""

import base64
import json
from typing import Any

import pytest
from httpx2 import Response

from examples.catalogue.tests.api import Api
from mscr.testing.api import Account
from mscr.testing.databases import on_sqlite
from mscr.testing.problems import faulty_fields, problem
from mscr.testing.walking import fetch, walk

ITEMS = "/api/v1/items"
MY = f"{ITEMS}/my"
SEARCH = f"{ITEMS}/search"
USERS = "/api/v1/users"


async def ask(api: Api, viewer: Account, path: str, **query: Any) -> Response:
    return await api.client.get(path, params=query, headers=viewer.headers)


async def cursor_for(api: Api, owner: Account, path: str = MY, **query: Any) -> str:
    """Create two published items and return the cursor after the first."""
    for title in ("thing a", "thing b"):
        await api.create_item(owner, title=title, status="active")
    page = await fetch(api, owner, path, limit=1, **query)
    return str(page["meta"]["next_cursor"])


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (ITEMS, {}),
        (SEARCH, {"q": "thing"}),
        (MY, {"status": "active"}),
        (MY, {"sort": "created_at"}),
        (MY, {"sort": "-title"}),
    ],
)
async def test_a_cursor_of_another_list_filter_or_order_is_refused(
    api: Api, path: str, query: dict[str, Any]
) -> None:
    """IN4."""
    owner = await api.register()
    cursor = await cursor_for(api, owner)
    problem(await ask(api, owner, path, cursor=cursor, **query), 422, "invalid_cursor")


async def test_a_cursor_of_another_search_is_refused(api: Api) -> None:
    """IN4."""
    owner = await api.register()
    cursor = await cursor_for(api, owner, SEARCH, q="thing")
    problem(await ask(api, owner, SEARCH, q="thin", cursor=cursor), 422, "invalid_cursor")


@pytest.mark.parametrize("path", [ITEMS, MY])
async def test_a_cursor_of_another_user_is_refused(api: Api, path: str) -> None:
    """IN4."""
    owner, other = await api.register(), await api.register()
    cursor = await cursor_for(api, owner, path)
    problem(await ask(api, other, path, cursor=cursor), 422, "invalid_cursor")


async def test_a_cursor_is_valid_for_another_page_size(api: Api) -> None:
    owner = await api.register()
    cursor = await cursor_for(api, owner)
    page = await fetch(api, owner, MY, cursor=cursor, limit=50)
    assert [row["title"] for row in page["data"]] == ["thing a"]


def altered(cursor: str) -> list[str]:
    """Return forged copies of a cursor: changed bytes, and other encodings of the same bytes."""
    other = {"A": "B"}
    flipped = [cursor[:i] + other.get(c, "A") + cursor[i + 1 :] for i, c in enumerate(cursor)]
    cut = [cursor[:-1], cursor[1:], cursor[:22], cursor[22:], cursor * 2]
    padded = [cursor + "=", cursor + "==", cursor + "!", f" {cursor}", cursor + "\n"]
    inserted = [f"{cursor[:9]}{junk}{cursor[9:]}" for junk in ("!!!!", "\r\n\r\n", "====", "....")]
    last = [cursor[:-1] + letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if letter != cursor[-1]]
    return [*flipped, *cut, *padded, *inserted, *last]


@on_sqlite
async def test_a_cursor_that_was_tampered_with_is_refused(api: Api) -> None:
    """IN4."""
    owner = await api.register()
    cursor = await cursor_for(api, owner)
    accepted = [
        text
        for text in altered(cursor)
        if (await ask(api, owner, MY, cursor=text)).json().get("code") != "invalid_cursor"
    ]
    assert accepted == []


def made_up(position: Any) -> str:
    payload = b"0" * 16 + json.dumps(position).encode()
    return base64.urlsafe_b64encode(payload).decode().rstrip("=")


@on_sqlite
@pytest.mark.parametrize(
    "cursor", ["x", "AAAA", "ä", "\U0001f95b", "null", "-1", made_up(["a"]), made_up({"t": 1})]
)
async def test_a_made_up_cursor_is_refused(api: Api, cursor: str) -> None:
    """IN4."""
    problem(await ask(api, await api.register(), MY, cursor=cursor), 422, "invalid_cursor")


async def test_a_list_of_users_refuses_a_cursor_of_items(api: Api) -> None:
    """IN4."""
    admin = await api.register_admin()
    cursor = await cursor_for(api, admin)
    problem(await ask(api, admin, USERS, cursor=cursor), 422, "invalid_cursor")


MIXED: list[dict[str, Any]] = [
    {"page": 1, "cursor": ""},
    {"page": 1, "limit": 5},
    {"per_page": 5, "limit": 5},
    {"per_page": 5, "cursor": "x"},
]


@on_sqlite
@pytest.mark.parametrize("path", [ITEMS, MY, SEARCH, USERS])
async def test_pages_and_cursors_are_not_mixed(api: Api, path: str) -> None:
    """IN4."""
    admin = await api.register_admin()
    for query in MIXED:
        words = {"q": "a"} if path == SEARCH else {}
        body = problem(await ask(api, admin, path, **query, **words), 422, "validation_failed")
        assert [fault["type"] for fault in body["errors"]] == ["paging_mixed"]


JUNK: list[tuple[str, Any]] = [
    ("limit", 10**9),
    ("limit", 101),
    ("limit", 0),
    ("limit", -1),
    ("limit", ""),
    ("limit", "all"),
    ("per_page", 101),
    ("per_page", 0),
    ("page", 0),
    ("page", -1),
    ("page", 10_001),
    ("page", 10**30),
    ("page", "1e3"),
    ("page", "1.5"),
    ("page", "NaN"),
    ("page", "\0"),
    ("page", "\u0661"),
    ("sort", ""),
    ("sort", "id"),
    ("sort", "password_hash"),
    ("sort", "owner_id"),
    ("sort", "public_id"),
    ("sort", "is_deleted"),
    ("sort", "created_at; DROP TABLE items"),
    ("sort", "created_at desc"),
    ("sort", "CREATED_AT"),
    ("sort", "+created_at"),
    ("sort", "--created_at"),
    ("sort", "created_at,"),
    ("sort", ",created_at"),
    ("sort", "created_at,id"),
    ("sort", "created_at\n"),
    ("sort", "created_at\0"),
    ("sort", ",".join(["created_at"] * 20)),
    ("cursor", "a" * 2049),
    ("id", 1),
    ("owner_id", 1),
    ("is_deleted", "true"),
    ("include_deleted", "true"),
    ("offset", 0),
    ("password_hash", "x"),
    ("order_by", "id"),
    ("\0", 1),
]
JUNK_OF_ITEMS = [
    *JUNK,
    ("status", "deleted"),
    ("status", ""),
    ("status", "\0"),
    ("status", ["draft"] * 4),
    ("status[]", "draft"),
    ("role", "admin"),
    ("title", "A thing"),
    ("title_gte", "A"),
    ("title_prefix", ""),
    ("title_prefix", "a\0"),
    ("title_prefix", "a" * 201),
    ("description_null", "maybe"),
    ("created_at", "2026-01-01T00:00:00Z"),
    ("created_at_gte", "yesterday"),
    ("created_at_gte", "2026-01-01T00:00:00"),
    ("created_at_lte", "0000-01-01T00:00:00Z"),
    ("updated_at_lte", 10**30),
]
JUNK_OF_USERS = [
    *JUNK,
    ("is_active", "maybe"),
    ("role", "root"),
    ("status", "draft"),
    ("sort", "full_name"),
    ("email", "a@example.com"),
]
JUNK_OF_SEARCH = [
    *JUNK_OF_ITEMS,
    ("sort", "rank"),
    ("q", ""),
    ("q", "  "),
    ("q", "a" * 201),
    ("q", "\0"),
    ("q", "a\0"),
]


@on_sqlite
@pytest.mark.parametrize(
    ("path", "junk"),
    [(ITEMS, JUNK_OF_ITEMS), (MY, JUNK_OF_ITEMS), (SEARCH, JUNK_OF_SEARCH), (USERS, JUNK_OF_USERS)],
)
async def test_a_parameter_that_is_unknown_or_out_of_bounds_is_refused(
    api: Api, path: str, junk: list[tuple[str, Any]]
) -> None:
    """IN4."""
    admin = await api.register_admin()
    words = {"q": "a"} if path == SEARCH else {}
    for name, value in junk:
        response = await ask(api, admin, path, **{**words, name: value})
        # For a value within a list, a third element holds its index.
        assert [loc[:2] for loc in faulty_fields(response)] == [["query", name]], (name, value)


async def test_search_without_words_is_refused(api: Api) -> None:
    """IN4."""
    response = await ask(api, await api.register(), SEARCH)
    assert faulty_fields(response) == [["query", "q"]]


async def test_the_largest_page_is_a_hundred_rows(api: Api) -> None:
    """IN4."""
    owner = await api.register()
    assert (await fetch(api, owner, MY, limit=100))["meta"]["limit"] == 100
    assert (await fetch(api, owner, MY, per_page=100))["meta"]["per_page"] == 100


async def test_a_cursor_has_room_for_titles_in_any_script(api: Api) -> None:
    """IN4."""
    owner = await api.register()
    made = [letter * 200 for letter in ("\u044f", "\u0436", "\U0001f40e", "\U0001f40f")]
    for title in made:
        await api.create_item(owner, title=title)

    walked = await walk(api, owner, "/api/v1/items/my", sort="title", limit=1)
    assert sorted(row["title"] for row in walked) == sorted(made)
