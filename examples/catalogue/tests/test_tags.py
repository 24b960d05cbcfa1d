"""Tags: a many-to-many relation to items, and their owners."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from httpx2 import Response
from sqlalchemy import select

from examples.catalogue.db.session import Database
from examples.catalogue.models.tag import Tag
from examples.catalogue.repositories.tag_repository import TagRepository
from examples.catalogue.tests.api import Api
from mscr.endpoints.database import DbSession
from mscr.testing.api import PASSWORD, Account
from mscr.testing.databases import on_postgresql, on_sqlite
from mscr.testing.problems import faulty_fields, problem
from mscr.testing.routes import random_id
from mscr.testing.statements import StatementCounter
from mscr.testing.table_rows import all_rows
from mscr.testing.waiting import connection_to, is_waiting, until
from mscr.testing.walking import fetch, titles, walk

ITEMS = "/api/v1/items"
TAGS = "/api/v1/tags"
LISTS = (ITEMS, f"{ITEMS}/my", f"{ITEMS}/search")
CALLERS = 20
# "home" in full-width letters, as Japanese keyboards write it.
WIDE_HOME = "\uff48\uff4f\uff4d\uff45"

at_once = pytest.mark.settings(DATABASE_POOL_TIMEOUT_SECONDS=30, DATABASE_LOCK_TIMEOUT_SECONDS=30)


async def send(api: Api, caller: Account, method: str, path: str, **request: Any) -> Response:
    headers = caller.headers | request.pop("headers", {})
    return await api.client.request(method, path, headers=headers, **request)


async def change(api: Api, caller: Account, item: dict[str, Any], **values: Any) -> dict[str, Any]:
    path = f"{ITEMS}/{item['public_id']}"
    response = await send(api, caller, "PATCH", path, json=values)
    assert response.status_code == 200, response.text
    changed: dict[str, Any] = response.json()["data"]
    return changed


async def read(api: Api, caller: Account, item: dict[str, Any]) -> Response:
    return await send(api, caller, "GET", f"{ITEMS}/{item['public_id']}")


def names(item: dict[str, Any]) -> list[str]:
    return [tag["name"] for tag in item["tags"]]


async def counts(api: Api, owner: Account, **query: Any) -> dict[str, int]:
    page = await fetch(api, owner, TAGS, **query)
    return {tag["name"]: tag["item_count"] for tag in page["data"]}


async def ids(api: Api, owner: Account) -> dict[str, str]:
    page = await fetch(api, owner, TAGS)
    return {tag["name"]: tag["public_id"] for tag in page["data"]}


# --- on items


async def test_an_item_gets_tags_when_it_is_created_and_others_when_it_is_changed(api: Api) -> None:
    owner = await api.register()
    item = await api.create_item(owner, tags=["work", "home"])
    assert names(item) == ["home", "work"]
    assert (await read(api, owner, item)).json()["data"] == item

    changed = await change(api, owner, item, tags=["Work", "garden"], title="Changed")
    assert names(changed) == ["garden", "work"]
    assert changed["tags"][1] == item["tags"][1]
    assert names(await change(api, owner, item, title="Again")) == ["garden", "work"]
    assert names(await change(api, owner, item, tags=[])) == []
    assert (await read(api, owner, item)).json()["data"]["tags"] == []
    assert await counts(api, owner) == {"garden": 0, "home": 0, "work": 0}


async def test_the_first_of_several_spellings_is_kept(api: Api) -> None:
    owner = await api.register()
    first = await api.create_item(owner, tags=[" Straße ", "STRASSE", WIDE_HOME])
    second = await api.create_item(owner, tags=["strasse", "HOME"])

    assert names(first) == [WIDE_HOME, "Straße"]
    assert second["tags"] == first["tags"]


@on_sqlite
async def test_an_invalid_name_is_refused_and_nothing_is_created(
    api: Api, database: Database
) -> None:
    """IN2: compatibility normalisation (NFKC) can turn one character into a sentence."""
    owner = await api.register()
    before = await all_rows(database)
    bad: list[Any] = [[""], [" "], ["a" * 51], ["a\0"], ["\ufdfa" * 20], [1], [None], "home", None]

    for tags in [*bad, ["a"] * 21]:
        refused = await send(api, owner, "POST", ITEMS, json={"title": "A", "tags": tags})
        assert faulty_fields(refused)[0][:2] == ["body", "tags"], tags
        if isinstance(tags, list) and len(tags) == 1:
            refused = await send(api, owner, "POST", TAGS, json={"name": tags[0]})
            assert faulty_fields(refused) == [["body", "name"]], tags
    assert await all_rows(database) == before
    assert names(await api.create_item(owner, tags=["\ufdfa" * 5, "é" * 50]))


async def test_a_change_of_the_tags_is_a_change_of_the_item(api: Api) -> None:
    """RC4: the item's ETag covers its tags; writing the same tags changes nothing."""
    owner = await api.register()
    item = await api.create_item(owner, tags=["home"])
    path, tag = f"{ITEMS}/{item['public_id']}", (await read(api, owner, item)).headers["etag"]

    same = await send(api, owner, "PATCH", path, json={"tags": ["HOME"]})
    assert (same.headers["etag"], same.json()["data"]) == (tag, item)
    condition = {"If-Match": tag}
    done = await send(api, owner, "PATCH", path, json={"tags": ["work"]}, headers=condition)
    assert done.status_code == 200
    assert done.json()["data"]["updated_at"] > item["updated_at"]
    late = await send(api, owner, "PATCH", path, json={"tags": ["play"]}, headers=condition)
    problem(late, 412, "precondition_failed")
    back = await send(api, owner, "PATCH", path, json={"tags": ["home"]})
    assert back.headers["etag"] != tag
    assert (await read(api, owner, item)).headers["etag"] == back.headers["etag"]


async def test_tags_that_an_administrator_adds_belong_to_the_items_owner(api: Api) -> None:
    owner, admin = await api.register(), await api.register_admin()
    item = await api.create_item(owner, tags=["home"])

    changed = await change(api, admin, item, tags=["home", "found"])

    assert changed["tags"][1] == item["tags"][0]
    assert await counts(api, owner) == {"found": 1, "home": 1}
    assert await counts(api, admin) == {}


async def test_each_list_shows_the_tags_of_all_items_in_one_statement(
    api: Api, queries: StatementCounter
) -> None:
    owner, reader = await api.register(), await api.register()
    for number in range(5):
        words = [f"tag {number}", "all"]
        await api.create_item(owner, title=f"Thing {number}", tags=words, status="active")

    for viewer, path in ((reader, LISTS[0]), (owner, LISTS[1]), (reader, LISTS[2])):
        with queries.at_most(4):  # session, items, their tags, total
            page = await fetch(api, viewer, path, sort="title", q="thing")
        assert [names(row) for row in page["data"]] == [["all", f"tag {n}"] for n in range(5)]


# --- filters


async def test_lists_are_filtered_by_tags_by_page_and_by_cursor(api: Api) -> None:
    owner, reader = await api.register(), await api.register()
    for title, words, status in (
        ("A", ["red", "big"], "active"),
        ("B", ["red"], "draft"),
        ("C", ["big"], "active"),
        ("D", [], "active"),
        ("E", ["red", "big", "old"], "archived"),
        ("F", ["red", "old"], "active"),
    ):
        await api.create_item(owner, title=title, description="thing", tags=words, status=status)
    red, big, old = [(await ids(api, owner))[name] for name in ("red", "big", "old")]
    filtered: list[tuple[dict[str, Any], str, str]] = [
        ({"tag": red}, "ABEF", "AF"),
        ({"tag": [red, old]}, "ABEF", "AF"),
        ({"tag": [big, old]}, "ACEF", "ACF"),
        ({"tag_all": [red, big]}, "AE", "A"),
        ({"tag_all": [red, big, old]}, "E", ""),
        ({"tag_all": old}, "EF", "F"),
        ({"tag": big, "tag_all": [red]}, "AE", "A"),
        ({"tag": [big, old], "tag_all": [red]}, "AEF", "AF"),
        ({"tag": red, "status": "active"}, "AF", "AF"),
        ({"tag": red, "title_prefix": "B"}, "B", ""),
        ({"tag": random_id()}, "", ""),
        ({"tag": [random_id(), old]}, "EF", "F"),
        ({"tag": red, "created_at_gte": "2026-01-01T00:00:00Z"}, "ABEF", "AF"),
        ({"tag": red, "created_at_lte": "2026-01-01T00:00:00Z"}, "", ""),
    ]

    for query, own, others in filtered:
        for viewer, path, wanted in (
            (owner, LISTS[0], own),
            (owner, LISTS[1], own),
            (reader, LISTS[0], others),
            (reader, LISTS[1], ""),
        ):
            page = await fetch(api, viewer, path, sort="created_at", **query)
            found = "".join(titles(page)), page["meta"]["total"]
            assert found == (wanted, len(wanted)), (query, path)
    for sort in ("created_at", "-created_at", "title", "-updated_at,title"):
        for query, own, _ in filtered[:6]:
            walked = await walk(api, owner, ITEMS, sort=sort, limit=1, **query)
            assert sorted(row["title"] for row in walked) == list(own), (query, sort)
    for options in ({}, {"limit": 5}, {"sort": "title"}):
        page = await fetch(api, owner, LISTS[2], q="thing", tag=big, **options)
        assert sorted(titles(page)) == ["A", "C", "E"]


@on_sqlite
async def test_a_filter_takes_ids_and_a_bounded_number_of_them(api: Api) -> None:
    """IN4."""
    owner = await api.register()
    for value in (["home"], [""], [random_id()] * 21):
        for name in ("tag", "tag_all"):
            refused = await send(api, owner, "GET", ITEMS, params={name: value})
            assert faulty_fields(refused)[0][:2] == ["query", name]


# --- the tags themselves


async def test_tags_are_created_read_renamed_and_deleted(api: Api) -> None:
    owner = await api.register()
    created = await send(api, owner, "POST", TAGS, json={"name": " Home "})
    assert created.status_code == 201
    path, tag = created.headers["location"], created.headers["etag"]
    assert path == f"{TAGS}/{created.json()['data']['public_id']}"
    item = await api.create_item(owner, tags=["home", "work"])
    seen = (await read(api, owner, item)).headers["etag"]

    # Putting a tag on items does not change the tag's own ETag.
    assert (await send(api, owner, "GET", path)).headers["etag"] == tag
    body, condition = {"name": "House"}, {"If-Match": tag}
    renamed = await send(api, owner, "PATCH", path, json=body, headers=condition)
    assert (renamed.status_code, renamed.json()["data"]["name"]) == (200, "House")
    late = await send(api, owner, "PATCH", path, json=body, headers=condition)
    problem(late, 412, "precondition_failed")
    problem(await send(api, owner, "DELETE", path, headers=condition), 412, "precondition_failed")
    shown = await read(api, owner, item)
    assert names(shown.json()["data"]) == ["House", "work"]
    assert shown.headers["etag"] != seen

    condition = {"If-Match": renamed.headers["etag"]}
    assert (await send(api, owner, "DELETE", path, headers=condition)).status_code == 204
    problem(await send(api, owner, "GET", path), 404, "not_found")
    assert names((await read(api, owner, item)).json()["data"]) == ["work"]
    old = path.rpartition("/")[2]
    assert (await fetch(api, owner, ITEMS, tag=old))["data"] == []
    # The name of the deleted tag is free again; the new tag has no items.
    again = await send(api, owner, "POST", TAGS, json={"name": "house"})
    assert again.status_code == 201
    assert await counts(api, owner) == {"house": 0, "work": 1}


async def test_a_name_is_unique_for_its_owner_ignoring_case(api: Api) -> None:
    owner, other = await api.register(), await api.register()
    first = await send(api, owner, "POST", TAGS, json={"name": "Home"})
    second = await send(api, owner, "POST", TAGS, json={"name": "work"})

    taken = await send(api, owner, "POST", TAGS, json={"name": "HOME"})
    problem(taken, 409, "tag_name_taken")
    path = second.headers["location"]
    problem(await send(api, owner, "PATCH", path, json={"name": "hOME"}), 409, "tag_name_taken")
    own = await send(api, owner, "PATCH", first.headers["location"], json={"name": "home"})
    assert own.json()["data"]["name"] == "home"
    assert (await send(api, other, "POST", TAGS, json={"name": "home"})).status_code == 201


async def test_a_repeated_request_creates_one_tag(api: Api) -> None:
    """RC3."""
    owner = await api.register()
    key = {"Idempotency-Key": "1"}
    answers = [
        await send(api, owner, "POST", TAGS, json={"name": "home"}, headers=key) for _ in range(2)
    ]
    assert answers[0].status_code == answers[1].status_code == 201
    assert answers[0].content == answers[1].content


async def test_a_tag_of_another_owner_is_404_like_an_absent_one(api: Api) -> None:
    """AZ2: also for administrators, though they manage items."""
    owner, stranger, admin = await api.register(), await api.register(), await api.register_admin()
    await api.create_item(owner, tags=["home"])
    path = f"{TAGS}/{(await ids(api, owner))['home']}"

    for caller in (stranger, admin):
        for method, body in (("GET", None), ("PATCH", {"name": "mine"}), ("DELETE", None)):
            for target in (path, f"{TAGS}/{random_id()}"):
                refused = await send(api, caller, method, target, json=body)
                problem(refused, 404, "not_found")
        assert await counts(api, caller) == {}
    assert await counts(api, owner) == {"home": 1}


async def test_tags_are_listed_with_the_number_of_their_living_items(
    api: Api, queries: StatementCounter
) -> None:
    """AZ5: counting takes no further statement."""
    owner = await api.register()
    rows = [await api.create_item(owner, tags=["b", "C"]) for _ in range(3)]
    await api.create_item(owner, tags=["a", "C"])
    await send(api, owner, "DELETE", f"{ITEMS}/{rows[0]['public_id']}")

    with queries.at_most(2):
        page = await fetch(api, owner, TAGS, limit=10)
    found = [(tag["name"], tag["item_count"]) for tag in page["data"]]
    assert found == [("a", 1), ("b", 2), ("C", 3)]
    walked = await walk(api, owner, TAGS, sort="-name", limit=1)
    assert [tag["name"] for tag in walked] == ["C", "b", "a"]
    assert list(await counts(api, owner, sort="created_at,name")) == ["b", "C", "a"]


# --- deleting


async def test_a_restored_item_has_its_tags_again(
    api: Api,
) -> None:
    owner = await api.register()
    item = await api.create_item(owner, tags=["home", "work"])
    path = f"{ITEMS}/{item['public_id']}"
    await send(api, owner, "DELETE", path)
    home = (await ids(api, owner))["home"]

    assert await counts(api, owner) == {"home": 0, "work": 0}
    assert (await fetch(api, owner, ITEMS, tag=home))["meta"]["total"] == 0
    [deleted] = (await fetch(api, owner, f"{ITEMS}/deleted"))["data"]
    assert deleted["tags"] == item["tags"]
    await send(api, owner, "DELETE", f"{TAGS}/{home}")
    restored = await send(api, owner, "POST", f"{path}/restore")

    assert names(restored.json()["data"]) == ["work"]
    assert await counts(api, owner) == {"work": 1}


async def test_the_tags_of_a_deleted_account_are_deleted_with_it(
    api: Api, database: Database
) -> None:
    """AZ5: filtering items by a deleted tag's id finds nothing."""
    leaver, reader = await api.register(), await api.register()
    await api.create_item(leaver, tags=["home"], status="active")
    home = (await ids(api, leaver))["home"]
    gone = await send(api, leaver, "DELETE", "/api/v1/users/me", json={"password": PASSWORD})
    assert gone.status_code == 204

    async with database.read_sessions() as session:
        assert (await session.scalars(select(Tag))).all() == []
    assert (await fetch(api, reader, ITEMS, tag=home))["data"] == []


# --- concurrency


@at_once
async def test_concurrent_items_with_a_new_tag_create_it_once(api: Api, database: Database) -> None:
    """RC1: whatever the order of the names, no request fails and all items get the same tags."""
    owner = await api.register()
    orders = (["home", "work"], ["Work", "Home", "play"])

    items = await asyncio.gather(
        *(api.create_item(owner, tags=orders[number % 2]) for number in range(CALLERS))
    )

    assert {tag["public_id"] for item in items for tag in item["tags"]} == {
        *(await ids(api, owner)).values()
    }
    rows = await all_rows(database)
    assert (len(rows["tags"]), len(rows["item_tags"])) == (3, CALLERS * 5 // 2)


@at_once
async def test_one_of_20_concurrent_requests_creates_a_tag(api: Api, database: Database) -> None:
    """RC1."""
    owner = await api.register()

    answers = await asyncio.gather(
        *(send(api, owner, "POST", TAGS, json={"name": "home"}) for _ in range(CALLERS))
    )

    assert sorted(a.status_code for a in answers) == [201] + [409] * (CALLERS - 1)
    assert len((await all_rows(database))["tags"]) == 1


@at_once
async def test_tags_are_renamed_and_put_on_items_concurrently(api: Api) -> None:
    """RC5: renaming a tag does not deadlock with items that get it."""
    owner = await api.register()
    for _ in range(3):
        await api.create_item(owner, tags=["a"])
        path = f"{TAGS}/{(await ids(api, owner))['a']}"
        answers = await asyncio.gather(
            *(
                send(api, owner, "POST", ITEMS, json={"title": "A", "tags": ["b", "a"]})
                for _ in range(5)
            ),
            *(send(api, owner, "PATCH", path, json={"name": "b"}) for _ in range(3)),
        )
        assert {a.status_code for a in answers} <= {200, 201, 409}
        for public_id in (await ids(api, owner)).values():
            await send(api, owner, "DELETE", f"{TAGS}/{public_id}")


@on_postgresql
async def test_renaming_a_tag_does_not_block_items_from_getting_it(
    api: Api, database: Database
) -> None:
    """RC5: otherwise they deadlock: one waits for the tag's row, the other for the new name."""
    owner = await api.register()
    await api.create_item(owner, tags=["a"])
    public_id = UUID((await ids(api, owner))["a"])
    async with database.sessions() as session:
        tags = TagRepository(session)
        owner_id = await session.scalar(select(Tag.owner_id)) or 0
        tag = await tags.lock_owned(public_id, owner_id)
        assert tag is not None
        await tags.rename(tag, "b")
        item = await api.create_item(owner, tags=["a"])
        await tags.commit()

    assert names((await read(api, owner, item)).json()["data"]) == ["b"]


@on_postgresql
@at_once
async def test_a_name_that_is_taken_concurrently_is_409(api: Api, database_url: str) -> None:
    """RC1: by a concurrent transaction that had not committed when the name was looked up."""
    owner = await api.register()
    columns = "public_id, name, name_key, owner_id"
    async with connection_to(database_url) as faster, connection_to(database_url) as observer:
        await faster.exec_driver_sql("BEGIN")
        await faster.exec_driver_sql(
            f"INSERT INTO tags ({columns}) SELECT 'x', 'home', 'home', id FROM users"  # noqa: S608  # constants
        )
        creating = asyncio.create_task(send(api, owner, "POST", TAGS, json={"name": "home"}))
        await until(lambda: is_waiting(observer))
        await faster.exec_driver_sql("COMMIT")

    problem(await creating, 409, "tag_name_taken")


async def test_another_constraint_violation_of_a_new_tag_is_a_plain_conflict(
    app: FastAPI, api: Api
) -> None:
    @app.post("/tag")
    async def create(db: DbSession) -> None:
        await TagRepository(db).create_for_owner(424242, "home")

    problem(await api.client.post("/tag"), 409, "conflict")
