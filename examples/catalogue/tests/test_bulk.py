"""Bulk requests for items: rows succeed or fail one by one, or all together if atomic."""

import asyncio
import json
from typing import Any

import pytest
from httpx2 import Response

from examples.catalogue.db.session import Database
from examples.catalogue.models import Item
from examples.catalogue.tests.api import Api
from mscr.schemas.bulk_schemas import MAX_BULK_ROWS
from mscr.testing.api import Account
from mscr.testing.databases import on_sqlite
from mscr.testing.problems import MEMBERS, faulty_fields, problem
from mscr.testing.routes import random_id
from mscr.testing.statements import StatementCounter
from mscr.testing.table_rows import all_rows

ITEMS = "/api/v1/items"
BULK = f"{ITEMS}/bulk"
BULK_DELETE = f"{ITEMS}/bulk-delete"
VERBS = {"create": ("POST", BULK), "update": ("PATCH", BULK), "delete": ("POST", BULK_DELETE)}


async def bulk(
    api: Api, caller: Account, verb: str, rows: list[Any], *, key: str | None = None, **query: Any
) -> Response:
    method, path = VERBS[verb]
    headers = caller.headers | ({} if key is None else {"Idempotency-Key": key})
    headers["Content-Type"] = "application/json"
    content = json.dumps({"rows": rows})
    return await api.client.request(method, path, content=content, params=query, headers=headers)


def results(response: Response) -> list[dict[str, Any]]:
    """Return the results of the rows in the order of the request, after checking their form."""
    assert response.status_code == 200, response.text
    data: dict[str, Any] = response.json()["data"]
    rows: list[dict[str, Any]] = data["rows"]
    assert [row["index"] for row in rows] == list(range(len(rows)))
    assert data["failed"] == sum(row["problem"] is not None for row in rows)
    assert data["succeeded"] == len(rows) - data["failed"]
    for row in rows:
        if row["problem"] is not None:
            # As in a single request: `errors` is present only if a value is at fault.
            told = {"errors"} if row["status"] == 422 else set()
            assert row["problem"].keys() == MEMBERS | told
            assert row["problem"]["status"] == row["status"] >= 400
            assert row["public_id"] is row["etag"] is None
    return rows


def codes(response: Response) -> list[int | str]:
    return [
        row["problem"]["code"] if row["problem"] else row["status"] for row in results(response)
    ]


async def titles(api: Api, owner: Account) -> list[str]:
    response = await api.client.get(
        f"{ITEMS}/my?sort=created_at&per_page=100", headers=owner.headers
    )
    return [item["title"] for item in response.json()["data"]]


async def get(api: Api, caller: Account, public_id: str) -> Response:
    return await api.client.get(f"{ITEMS}/{public_id}", headers=caller.headers)


async def some_items(api: Api, owner: Account, *names: str, **values: Any) -> list[dict[str, Any]]:
    response = await bulk(api, owner, "create", [{"title": name, **values} for name in names])
    return results(response)


async def test_rows_are_created_in_order_despite_bad_ones_among_them(api: Api) -> None:
    """IN6."""
    owner = await api.register()
    response = await bulk(
        api,
        owner,
        "create",
        [
            {"title": "first", "status": "active"},
            {"title": " "},
            {"title": "third", "owner_id": 1, "x" * 200: 1},
            {"title": "fourth", "\ud800" * 200: 1},
            {"title": "sixth\0"},
            {"title": "last", "description": "Two litres"},
        ],
    )

    invalid = "validation_failed"
    assert codes(response) == [201, *[invalid] * 4, 201]
    rows = results(response)
    assert rows[1]["problem"]["errors"][0]["loc"] == ["title"]
    assert rows[2]["problem"]["errors"][0]["loc"] == ["owner_id"]
    assert len(rows[2]["problem"]["errors"][1]["loc"][0]) == 100
    assert rows[4]["problem"]["errors"][0]["loc"] == ["title"]
    assert await titles(api, owner) == ["first", "last"]
    for row in (rows[0], rows[5]):
        shown = await get(api, owner, row["public_id"])
        assert shown.headers["etag"] == row["etag"]
    last = (await get(api, owner, rows[5]["public_id"])).json()["data"]
    assert (last["description"], last["owner_public_id"]) == ("Two litres", owner.public_id)


async def test_rows_are_updated_independently_of_each_other(api: Api) -> None:
    """AZ2, RC4."""
    owner, other = await api.register(), await api.register()
    [mine, kept, cleared] = await some_items(api, owner, "a", "b", "c", description="old")
    [published] = await some_items(api, other, "d", status="active")
    response = await bulk(
        api,
        owner,
        "update",
        [
            {"public_id": mine["public_id"], "if_match": mine["etag"], "title": "A"},
            {"public_id": published["public_id"], "title": "stolen"},
            {"public_id": random_id(), "title": "nobody's"},
            {"public_id": kept["public_id"], "if_match": '"AAAAAAAAAAAAAAAAAAAAAA"', "title": "B"},
            {"public_id": mine["public_id"], "title": "twice"},
            {"public_id": cleared["public_id"], "description": None, "status": "active"},
            {"public_id": cleared["public_id"].upper(), "title": "twice too"},
            {"public_id": "no-id", "title": "x"},
            {"public_id": kept["public_id"], "title": None},
        ],
    )

    assert codes(response) == [
        *(200, "not_found", "not_found", "precondition_failed", "duplicate_row", 200),
        *("duplicate_row", "validation_failed", "validation_failed"),
    ]
    assert await titles(api, owner) == ["A", "b", "c"]
    assert (await get(api, other, published["public_id"])).json()["data"]["title"] == "d"
    rows = results(response)
    for row, before in ((rows[0], mine), (rows[5], cleared)):
        shown = await get(api, owner, row["public_id"])
        assert shown.headers["etag"] == row["etag"] != before["etag"]
    last = (await get(api, owner, cleared["public_id"])).json()["data"]
    assert last["description"] is None
    assert last["updated_at"] > last["created_at"]


async def test_a_row_that_changes_nothing_makes_no_new_version(api: Api) -> None:
    owner = await api.register()
    [first, second] = await some_items(api, owner, "a", "b")
    same = [
        {"public_id": first["public_id"], "title": "a"},
        {"public_id": second["public_id"]},
    ]
    rows = results(await bulk(api, owner, "update", same))
    assert [row["etag"] for row in rows] == [first["etag"], second["etag"]]


async def test_rows_are_deleted_independently_of_each_other(api: Api) -> None:
    """AZ2, AZ5."""
    owner, other = await api.register(), await api.register()
    [first, second, third] = await some_items(api, owner, "a", "b", "c")
    [foreign] = await some_items(api, other, "d", status="active")
    response = await bulk(
        api,
        owner,
        "delete",
        [
            {"public_id": first["public_id"]},
            {"public_id": foreign["public_id"]},
            {"public_id": second["public_id"], "if_match": '"AAAAAAAAAAAAAAAAAAAAAA"'},
            {"public_id": third["public_id"], "if_match": third["etag"]},
            {"public_id": first["public_id"]},
        ],
    )

    assert codes(response) == [204, "not_found", "precondition_failed", 204, "duplicate_row"]
    assert results(response)[0]["public_id"] == first["public_id"]
    assert results(response)[0]["etag"] is None
    assert await titles(api, owner) == ["b"]
    assert (await get(api, other, foreign["public_id"])).status_code == 200
    again = await bulk(api, owner, "delete", [{"public_id": first["public_id"]}])
    assert codes(again) == ["not_found"]
    restored = await api.client.post(f"{ITEMS}/{first['public_id']}/restore", headers=owner.headers)
    assert restored.headers["etag"] != first["etag"]


async def test_administrators_change_the_items_of_others(api: Api) -> None:
    admin, owner = await api.register_admin(), await api.register()
    [item] = await some_items(api, owner, "a")
    row = {"public_id": item["public_id"]}
    assert codes(await bulk(api, admin, "update", [{**row, "title": "by admin"}])) == [200]
    assert codes(await bulk(api, admin, "delete", [row])) == [204]


async def test_an_atomic_request_with_one_bad_row_changes_nothing(
    api: Api, database: Database
) -> None:
    owner = await api.register()
    [item] = await some_items(api, owner, "a")
    target = {"public_id": item["public_id"]}
    before = await all_rows(database)

    refused = await bulk(api, owner, "create", [{"title": "b"}, {"title": 1}], atomic=True)
    assert faulty_fields(refused) == [["body", "rows", 1, "title"]]
    for verb in ("update", "delete"):
        rows = [target, {"public_id": random_id()}, {**target, "if_match": '"x"'}]
        body = problem(
            await bulk(api, owner, verb, rows, key="k", atomic=True), 409, "rows_refused"
        )
        assert [(e["loc"], e["type"]) for e in body["errors"]] == [
            (["body", "rows", 1], "not_found"),
            (["body", "rows", 2], "duplicate_row"),
        ]
        refused = await bulk(api, owner, verb, [*rows, {"public_id": "x"}], key="k", atomic=True)
        assert faulty_fields(refused) == [
            *(["body", "rows", 1], ["body", "rows", 2], ["body", "rows", 3, "public_id"]),
        ]
    assert await all_rows(database) == before
    assert codes(await bulk(api, owner, "create", [{"title": "b"}], atomic=True)) == [201]
    assert codes(await bulk(api, owner, "delete", [target], key="k", atomic=True)) == [204]


@on_sqlite
async def test_an_unknown_or_repeated_option_changes_nothing(api: Api, database: Database) -> None:
    """A misspelt `atomic` must not leave half of the rows changed."""
    owner = await api.register()
    [item] = await some_items(api, owner, "a")
    row = {"public_id": item["public_id"]}
    before = await all_rows(database)
    for verb, rows in (("create", [{"title": "b"}]), ("update", [row]), ("delete", [row])):
        misspelt = await bulk(api, owner, verb, rows, Atomic=True)
        assert faulty_fields(misspelt) == [["query", "Atomic"]]
        repeated = await bulk(api, owner, verb, rows, atomic=["true", "false"])
        assert faulty_fields(repeated) == [["query", "atomic"]]
    assert await all_rows(database) == before


@pytest.mark.settings(REQUIRE_IF_MATCH=True)
async def test_a_row_without_a_version_is_refused_where_one_is_required(api: Api) -> None:
    owner = await api.register()
    [item] = await some_items(api, owner, "a")
    row = {"public_id": item["public_id"]}
    for verb in ("update", "delete"):
        assert codes(await bulk(api, owner, verb, [row])) == ["precondition_required"]
    anything = [{**row, "if_match": "*"}]
    assert codes(await bulk(api, owner, "delete", anything)) == [204]


async def test_too_many_or_no_rows_are_refused(api: Api, database: Database) -> None:
    """IN6."""
    owner = await api.register()
    before = await all_rows(database)
    rows = [{"title": f"item {number}"} for number in range(MAX_BULK_ROWS + 1)]
    for sent in (rows, []):
        assert faulty_fields(await bulk(api, owner, "create", sent)) == [["body", "rows"]]
    assert await all_rows(database) == before


async def test_a_hundred_rows_take_as_many_statements_as_one(
    api: Api, queries: StatementCounter
) -> None:
    owner = await api.register()
    taken: list[list[int]] = []
    for count in (1, MAX_BULK_ROWS):
        with queries.counted() as creating:
            made = await some_items(api, owner, *(f"item {n}" for n in range(count)))
        targets = [{"public_id": row["public_id"], "if_match": row["etag"]} for row in made]
        texts = [{"title": "new"}, {"description": "new"}, {"title": "new", "status": "active"}]
        changed = [{**target, **texts[n % 3]} for n, target in enumerate(targets)]
        with queries.counted() as updating:
            response = await bulk(api, owner, "update", changed)
        assert set(codes(response)) == {200}
        with queries.counted() as deleting:
            response = await bulk(
                api, owner, "delete", [{"public_id": row["public_id"]} for row in made]
            )
        assert set(codes(response)) == {204}
        taken.append([len(creating), len(updating), len(deleting)])

    # Looking up the session; a savepoint around one INSERT or UPDATE; reads before and after.
    assert taken == [[7, 8, 4], [7, 8, 4]]


async def test_a_repeated_bulk_request_is_replayed(api: Api) -> None:
    """RC3."""
    owner = await api.register()
    rows: list[Any] = [{"title": "a"}, {"title": ""}]
    first = await bulk(api, owner, "create", rows, key="k-1")
    again = await bulk(api, owner, "create", rows, key="k-1")

    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    assert await titles(api, owner) == ["a"]
    other = await bulk(api, owner, "create", rows[:1], key="k-1")
    assert "errors" not in problem(other, 422, "idempotency_key_reused")
    atomic = await bulk(api, owner, "create", rows, key="k-1", atomic=True)
    problem(atomic, 422, "idempotency_key_reused")

    target = {"public_id": results(first)[0]["public_id"]}
    for verb, row in (("update", {**target, "title": "b"}), ("delete", target)):
        answers = [await bulk(api, owner, verb, [row], key="k-2") for _ in range(2)]
        assert answers[0].content == answers[1].content
        assert answers[1].headers["idempotency-replayed"] == "true"


async def test_exactly_one_of_several_concurrent_changes_of_a_version_succeeds(api: Api) -> None:
    """RC4: and bulk requests with the same rows in opposite orders do not deadlock."""
    owner = await api.register()
    items = await some_items(api, owner, *"abcd")
    for number in range(5):
        current = [(await get(api, owner, item["public_id"])).headers["etag"] for item in items]
        rows = [
            {"public_id": item["public_id"], "if_match": tag, "title": f"bulk {number}"}
            for item, tag in zip(items, current, strict=True)
        ]
        single = api.client.patch(
            f"{ITEMS}/{items[2]['public_id']}",
            json={"title": f"single {number}"},
            headers=owner.headers | {"If-Match": current[2]},
        )
        one, other, alone = await asyncio.gather(
            bulk(api, owner, "update", rows), bulk(api, owner, "update", rows[::-1]), single
        )
        won = zip(results(one), reversed(results(other)), strict=True)
        statuses = [sorted([a["status"], b["status"]]) for a, b in won]
        assert [*statuses[:2], statuses[3]] == [[200, 412]] * 3
        assert sorted([*statuses[2], alone.status_code]) == [200, 412, 412]


async def test_no_row_causes_a_server_error(api: Api) -> None:
    """IN3."""
    owner = await api.register()
    [item] = await some_items(api, owner, "a")
    values: list[Any] = [
        None,
        1,
        1.5,
        True,
        "text",
        "\ud83e",
        [],
        {},
        [[]],
        {"a": {"b": []}},
        10**400,
    ]
    fields = ("public_id", "if_match", "title", "status", "id", "")
    for value in values:
        if not isinstance(value, dict):
            refused = await bulk(api, owner, "create", [{"title": "b"}, value])
            assert faulty_fields(refused) == [["body", "rows", 1]]
            assert refused.json()["errors"][0]["msg"] == "Input should be a JSON object"
    target = {"public_id": item["public_id"]}
    rows = [{}, *({**target, field: value} for field in fields for value in values)]
    expected = {200, 201, 204, 404, 409, 412, 422}
    for verb in VERBS:
        response = await bulk(api, owner, verb, rows)
        assert {row["status"] for row in results(response)} <= expected


async def test_only_the_caller_becomes_the_owner(api: Api, database: Database) -> None:
    """AZ4."""
    owner, other = await api.register(), await api.register()
    columns = [column.name for column in Item.__table__.columns]
    taken = [{"title": "a", name: 1} for name in {*columns, "owner_public_id"} - {"title"}]
    before = await all_rows(database)
    for row in taken:
        if "owner_public_id" in row:
            row["owner_public_id"] = other.public_id
    assert set(codes(await bulk(api, owner, "create", taken))) == {"validation_failed"}
    assert await all_rows(database) == before
