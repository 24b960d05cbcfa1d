"""Items: who sees and changes them, their lists, and safe writes."""

from dataclasses import replace
from typing import Any

import pytest
from httpx2 import Response

from app.core.config import Settings
from app.project import project
from mscr.testing.api import PASSWORD, Account
from mscr.testing.problems import faulty_fields, problem
from mscr.testing.walking import fetch, titles, walk
from tests.api import Api

ITEMS = "/api/v1/items"
MY = f"{ITEMS}/my"
SEARCH = f"{ITEMS}/search"
NOBODY = "01a2314b-0494-7339-9e26-5da76f16aa7c"


async def create(api: Api, owner: Account, **values: Any) -> dict[str, Any]:
    body = {"title": "A thing", **values}
    response = await api.client.post(ITEMS, json=body, headers=owner.headers)
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()["data"]
    return created


async def read(api: Api, caller: Account, item: dict[str, Any]) -> Response:
    return await api.client.get(f"{ITEMS}/{item['public_id']}", headers=caller.headers)


async def change(api: Api, caller: Account, item: dict[str, Any], **values: Any) -> Response:
    path = f"{ITEMS}/{item['public_id']}"
    return await api.client.patch(path, json=values, headers=caller.headers)


async def delete(api: Api, caller: Account, item: dict[str, Any]) -> Response:
    return await api.client.delete(f"{ITEMS}/{item['public_id']}", headers=caller.headers)


async def restore(api: Api, caller: Account, item: dict[str, Any]) -> Response:
    return await api.client.post(f"{ITEMS}/{item['public_id']}/restore", headers=caller.headers)


# --- one item


async def test_a_new_item_is_a_draft_of_its_creator(api: Api) -> None:
    owner = await api.register()

    item = await create(api, owner, title="  Milk ")

    assert item == {
        "public_id": item["public_id"],
        "created_at": item["created_at"],
        "updated_at": item["updated_at"],
        "owner_public_id": owner.public_id,
        "title": "Milk",
        "description": None,
        "status": "draft",
    }
    assert (await read(api, owner, item)).json()["data"] == item


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("title", ""), ("title", "  "), ("title", "a" * 201), ("title", None)),
        *(("description", "a" * 5001), ("status", "deleted"), ("status", None)),
        *(("owner_public_id", NOBODY), ("is_deleted", True)),
    ],
)
async def test_a_value_out_of_bounds_is_refused(api: Api, field: str, value: Any) -> None:
    owner = await api.register()
    item = await create(api, owner)
    body = {"title": "Milk", field: value}

    created = await api.client.post(ITEMS, json=body, headers=owner.headers)

    assert faulty_fields(created) == [["body", field]]
    assert faulty_fields(await change(api, owner, item, **body)) == [["body", field]]


async def test_a_change_affects_only_the_fields_sent(api: Api) -> None:
    owner = await api.register()
    item = await create(api, owner, description="2 l", status="active")

    changed = (await change(api, owner, item, title="Oat milk")).json()["data"]
    cleared = (await change(api, owner, item, description=None)).json()["data"]

    expected = item | {"title": "Oat milk"}
    assert changed == expected | {"updated_at": changed["updated_at"]}
    assert cleared == expected | {"updated_at": cleared["updated_at"], "description": None}


@pytest.mark.parametrize("status", ["draft", "active", "archived"])
async def test_others_see_published_items_and_change_none(api: Api, status: str) -> None:
    owner, other = await api.register(), await api.register()
    item = await create(api, owner, status=status)

    assert (await read(api, other, item)).status_code == (200 if status == "active" else 404)
    problem(await change(api, other, item, title="Mine"), 404, "not_found")
    problem(await delete(api, other, item), 404, "not_found")
    problem(await restore(api, other, item), 404, "not_found")
    assert (await read(api, owner, item)).json()["data"] == item


async def test_administrators_read_and_change_the_items_of_all(api: Api) -> None:
    owner, admin = await api.register(), await api.register_admin()
    item = await create(api, owner)

    assert (await read(api, admin, item)).json()["data"] == item
    changed = (await change(api, admin, item, status="archived")).json()["data"]
    assert (changed["status"], changed["owner_public_id"]) == ("archived", owner.public_id)
    assert (await delete(api, admin, item)).status_code == 204
    assert (await restore(api, admin, item)).status_code == 200


async def test_a_deleted_item_is_gone_until_its_owner_restores_it(api: Api) -> None:
    owner = await api.register()
    item = await create(api, owner)

    assert (await delete(api, owner, item)).status_code == 204
    problem(await delete(api, owner, item), 404, "not_found")
    problem(await read(api, owner, item), 404, "not_found")
    assert titles(await fetch(api, owner, MY)) == []

    restored = (await restore(api, owner, item)).json()["data"]
    assert restored == item | {"updated_at": restored["updated_at"]}
    assert titles(await fetch(api, owner, MY)) == [item["title"]]


async def test_the_items_of_a_deleted_account_are_gone_for_good(api: Api) -> None:
    owner, admin = await api.register(), await api.register_admin()
    item = await create(api, owner, status="active")

    body = {"password": PASSWORD}
    await api.client.request("DELETE", "/api/v1/users/me", json=body, headers=owner.headers)

    problem(await read(api, admin, item), 404, "not_found")
    problem(await restore(api, admin, item), 404, "not_found")


# --- lists


async def test_the_list_has_the_callers_own_items_and_the_published_ones_of_others(
    api: Api,
) -> None:
    owner, other = await api.register(), await api.register()
    for status in ("draft", "active", "archived"):
        await create(api, owner, title=f"own {status}", status=status)
        await create(api, other, title=f"other {status}", status=status)

    everything = await fetch(api, owner, ITEMS, sort="title")
    my_own = await fetch(api, owner, MY, sort="title")

    own = ["own active", "own archived", "own draft"]
    assert titles(everything) == ["other active", *own]
    assert titles(my_own) == own


async def test_a_list_has_pages_with_a_total_newest_first(api: Api) -> None:
    owner = await api.register()
    for number in range(3):
        await create(api, owner, title=f"{number}")

    first = await fetch(api, owner, MY, per_page=2)
    second = await fetch(api, owner, MY, per_page=2, page=2)

    assert (titles(first), titles(second)) == (["2", "1"], ["0"])
    assert (first["meta"]["total"], first["meta"]["pages"]) == (3, 2)


@pytest.mark.parametrize("sort", ["title", "-title", "created_at", "-updated_at"])
async def test_a_walk_by_cursor_shows_each_item_once_and_in_order(api: Api, sort: str) -> None:
    owner = await api.register()
    for title in "bdac":
        await create(api, owner, title=title)

    rows = await walk(api, owner, MY, sort=sort, limit=1)

    key = sort.removeprefix("-")
    in_order = sorted(rows, key=lambda row: str(row[key]), reverse=sort.startswith("-"))
    assert len({row["public_id"] for row in rows}) == 4
    assert rows == in_order


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"status": ["draft", "archived"]}, "bread,soap"),
        ({"title_prefix": "so"}, "soap"),
        ({"description_null": "false"}, "milk"),
        ({"created_at_gte": "2100-01-01T00:00:00Z"}, ""),
        ({"updated_at_lte": "2100-01-01T00:00:00Z"}, "bread,milk,soap"),
        ({"q": "litres"}, "milk"),
    ],
)
async def test_a_filter_narrows_a_list(api: Api, query: dict[str, Any], expected: str) -> None:
    owner = await api.register()
    await create(api, owner, title="milk", description="Two litres", status="active")
    await create(api, owner, title="bread")
    await create(api, owner, title="soap", status="archived")

    page = await fetch(api, owner, MY, sort="title", **query)

    assert ",".join(titles(page)) == expected
    assert page["meta"]["total"] == len(page["data"])


async def test_a_search_ranks_what_the_caller_may_see(api: Api) -> None:
    owner, other = await api.register(), await api.register()
    await create(api, owner, title="Milk")
    await create(api, other, title="Milk of others", status="active")
    await create(api, other, title="Secret milk")
    await create(api, owner, title="Cheese", description="made of milk, cream and salt")

    found = titles(await fetch(api, owner, SEARCH, q="MILK"))

    assert {*found} == {"Milk", "Milk of others", "Cheese"}
    assert found[-1] == "Cheese"


@pytest.mark.parametrize("query", [{"sort": "owner_id"}, {"colour": "red"}, {"per_page": "101"}])
async def test_an_unknown_or_excessive_parameter_is_refused(
    api: Api, query: dict[str, str]
) -> None:
    owner = await api.register()

    refused = await api.client.get(ITEMS, params=query, headers=owner.headers)

    assert faulty_fields(refused) == [["query", *query]]


# --- safe writes


async def test_a_change_based_on_an_old_version_is_refused(api: Api) -> None:
    """Optimistic lock: nobody overwrites what they have not seen."""
    owner = await api.register()
    item = await create(api, owner)
    path = f"{ITEMS}/{item['public_id']}"
    headers = owner.headers | {"If-Match": (await read(api, owner, item)).headers["etag"]}

    first = await api.client.patch(path, json={"title": "First"}, headers=headers)
    second = await api.client.patch(path, json={"title": "Second"}, headers=headers)

    assert first.status_code == 200
    problem(second, 412, "precondition_failed")
    assert (await read(api, owner, item)).json()["data"]["title"] == "First"


async def test_a_client_that_has_the_current_version_gets_304(api: Api) -> None:
    owner = await api.register()
    item = await create(api, owner)
    headers = owner.headers | {"If-None-Match": (await read(api, owner, item)).headers["etag"]}

    unchanged = await api.client.get(f"{ITEMS}/{item['public_id']}", headers=headers)

    assert (unchanged.status_code, unchanged.content) == (304, b"")


async def test_a_repeated_request_creates_one_item(api: Api) -> None:
    owner = await api.register()
    headers = owner.headers | {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}

    answers = [
        await api.client.post(ITEMS, json={"title": "Milk"}, headers=headers) for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].content == answers[1].content
    assert (await fetch(api, owner, MY))["meta"]["total"] == 1


# --- demo data


async def test_demo_data_has_items_in_every_status(
    api: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.project.project", replace(project, get_settings=lambda: settings))

    _, user = await project.add_demo_data("dev")
    login = await api.try_login(user.email, user.password)
    headers = api.authorization(login.json()["data"]["access_token"])
    mine = (await api.client.get(MY, headers=headers)).json()

    assert mine["meta"]["total"] == 10
    assert {item["status"] for item in mine["data"]} == {"draft", "active", "archived"}
