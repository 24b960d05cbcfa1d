"""Single items: create, read, update, delete and restore."""

from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from httpx2 import Response

from examples.catalogue.tests.api import Api
from mscr.testing.api import Account
from mscr.testing.databases import on_sqlite
from mscr.testing.problems import faulty_fields, problem
from mscr.testing.routes import random_id

ITEMS = "/api/v1/items"


async def patch(api: Api, caller: Account, item: dict[str, Any], **values: Any) -> Response:
    url = f"{ITEMS}/{item['public_id']}"
    return await api.client.patch(url, json=values, headers=caller.headers)


async def delete(api: Api, caller: Account, item: dict[str, Any]) -> Response:
    return await api.client.delete(f"{ITEMS}/{item['public_id']}", headers=caller.headers)


async def restore(api: Api, caller: Account, item: dict[str, Any]) -> Response:
    return await api.client.post(f"{ITEMS}/{item['public_id']}/restore", headers=caller.headers)


async def read(api: Api, caller: Account, item: dict[str, Any]) -> Response:
    return await api.client.get(f"{ITEMS}/{item['public_id']}", headers=caller.headers)


async def test_a_created_item_is_a_draft_of_the_caller(api: Api) -> None:
    owner = await api.register()
    response = await api.client.post(ITEMS, json={"title": "Milk"}, headers=owner.headers)

    item = response.json()["data"]
    assert response.status_code == 201
    assert item.keys() == {
        "public_id",
        "created_at",
        "updated_at",
        "title",
        "description",
        "status",
        "owner_public_id",
        "tags",
    }
    assert (item["title"], item["description"], item["status"]) == ("Milk", None, "draft")
    assert item["owner_public_id"] == owner.public_id


async def test_a_created_item_is_read_back_as_it_was_sent(api: Api) -> None:
    owner = await api.register()
    sent = {
        "title": "Mülch ✓ 牛奶 \U0001f95b",
        "description": "2 l\n\t'\"\\%_;--",
        "status": "active",
    }

    item = await api.create_item(owner, **sent)

    assert (await read(api, owner, item)).json()["data"] == item
    assert {name: item[name] for name in sent} == sent


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("  padded\n", "padded"), ("a" * 200, "a" * 200), ("\U0001f95b" * 200, "\U0001f95b" * 200)],
)
async def test_a_title_is_trimmed_and_may_have_200_characters(
    api: Api, sent: str, kept: str
) -> None:
    owner = await api.register()
    assert (await api.create_item(owner, title=sent))["title"] == kept


OUT_OF_BOUNDS: list[tuple[str, Any]] = [
    ("title", ""),
    ("title", " \n\t "),
    ("title", "a" * 201),
    ("title", None),
    ("title", 5),
    ("title", True),
    ("description", "a" * 5001),
    ("description", ["a"]),
    ("status", "deleted"),
    ("status", "ACTIVE"),
    ("status", ""),
    ("status", None),
    ("status", 0),
    ("status", ["active"]),
]


async def test_a_value_out_of_bounds_is_refused_on_create_and_update(api: Api) -> None:
    owner = await api.register()
    item = await api.create_item(owner)

    for field, value in OUT_OF_BOUNDS:
        body = {"title": "Milk", field: value}
        created = await api.client.post(ITEMS, json=body, headers=owner.headers)
        assert faulty_fields(created) == [["body", field]]
        assert faulty_fields(await patch(api, owner, item, **body)) == [["body", field]]

    assert (await read(api, owner, item)).json()["data"] == item


async def test_a_description_may_have_5000_characters(api: Api) -> None:
    owner = await api.register()
    item = await api.create_item(owner, description="ä" * 5000)
    assert item["description"] == "ä" * 5000


async def test_a_change_affects_only_the_fields_sent(api: Api) -> None:
    owner = await api.register()
    item = await api.create_item(owner, description="2 l", status="active")

    changed = (await patch(api, owner, item, title="Oat milk")).json()["data"]

    untouched = item.keys() - {"title", "updated_at"}
    assert changed["title"] == "Oat milk"
    assert {name: changed[name] for name in untouched} == {name: item[name] for name in untouched}


async def test_a_change_moves_updated_at_and_not_created_at(api: Api) -> None:
    owner = await api.register()
    item = await api.create_item(owner)

    with time_machine.travel(datetime.now(UTC).timestamp() + 60):
        changed = (await patch(api, owner, item, title="Later")).json()["data"]

    assert changed["created_at"] == item["created_at"]
    assert changed["updated_at"] > item["updated_at"]


async def test_an_empty_change_changes_nothing(api: Api) -> None:
    owner = await api.register()
    item = await api.create_item(owner, description="2 l")

    response = await patch(api, owner, item)

    assert response.status_code == 200
    assert response.json()["data"] == item


async def test_null_clears_the_description(api: Api) -> None:
    owner = await api.register()
    item = await api.create_item(owner, description="2 l")

    assert (await patch(api, owner, item, description=None)).json()["data"]["description"] is None
    assert (await read(api, owner, item)).json()["data"]["description"] is None


@pytest.mark.parametrize("status", ["draft", "archived"])
async def test_others_see_only_published_items(api: Api, status: str) -> None:
    owner, other = await api.register(), await api.register()
    item = await api.create_item(owner, status="active")
    assert (await read(api, other, item)).json()["data"] == item

    await patch(api, owner, item, status=status)

    problem(await read(api, other, item), 404, "not_found")


async def test_an_administrator_reads_and_changes_the_items_of_others(api: Api) -> None:
    owner, admin = await api.register(), await api.register_admin()
    item = await api.create_item(owner)
    assert (await read(api, admin, item)).json()["data"] == item

    changed = (await patch(api, admin, item, title="Moderated")).json()["data"]

    assert (changed["title"], changed["owner_public_id"]) == ("Moderated", owner.public_id)


async def test_an_administrator_deletes_and_restores_the_items_of_others(api: Api) -> None:
    owner, admin = await api.register(), await api.register_admin()
    item = await api.create_item(owner)

    assert (await delete(api, admin, item)).status_code == 204
    problem(await read(api, owner, item), 404, "not_found")
    assert (await restore(api, admin, item)).status_code == 200
    assert (await read(api, owner, item)).status_code == 200


async def test_deleting_returns_204_and_the_second_time_404(api: Api) -> None:
    owner = await api.register()
    item = await api.create_item(owner)

    first, second = await delete(api, owner, item), await delete(api, owner, item)

    assert (first.status_code, first.content) == (204, b"")
    problem(second, 404, "not_found")


async def test_a_restored_item_has_its_old_values(api: Api) -> None:
    owner = await api.register()
    item = await api.create_item(owner, description="2 l", status="active")
    await delete(api, owner, item)

    restored = (await restore(api, owner, item)).json()["data"]

    assert restored | {"updated_at": item["updated_at"]} == item
    assert (await read(api, owner, item)).json()["data"] == restored


async def test_restoring_an_item_that_is_not_deleted_changes_nothing(api: Api) -> None:
    owner = await api.register()
    item = await api.create_item(owner)

    for _ in range(2):
        response = await restore(api, owner, item)
        assert (response.status_code, response.json()["data"]) == (200, item)


async def test_a_stranger_cannot_restore_a_published_item(api: Api) -> None:
    owner, stranger = await api.register(), await api.register()
    item = await api.create_item(owner, status="active")
    await delete(api, owner, item)

    problem(await restore(api, stranger, item), 404, "not_found")
    problem(await read(api, owner, item), 404, "not_found")


async def test_an_item_that_never_existed_cannot_be_restored(api: Api) -> None:
    owner = await api.register()
    problem(await restore(api, owner, {"public_id": random_id()}), 404, "not_found")


@on_sqlite
@pytest.mark.parametrize("public_id", ["1", "0", "-1", "my%20", "null", "a" * 36, "1e3"])
async def test_an_id_that_is_no_uuid_is_refused(api: Api, public_id: str) -> None:
    """AZ3: integer primary keys are not accepted either."""
    owner = await api.register()
    await api.create_item(owner)

    response = await read(api, owner, {"public_id": public_id})

    assert faulty_fields(response) == [["path", "public_id"]]
