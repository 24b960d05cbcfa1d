"""A plain resource with columns of every kind, a rule, a quota, filters and shared rows."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from examples.catalogue.db.session import Database
from examples.catalogue.models import Order, User
from examples.catalogue.repositories.order_repository import OrderRepository
from examples.catalogue.tests.api import Api
from mscr.core.exceptions import UnauthorizedError
from mscr.endpoints.resource_responder import resource_response
from mscr.http.responses import page_response
from mscr.queries.pagination import Slice
from mscr.schemas.base import PublicResource
from mscr.testing.api import Account
from mscr.testing.problems import problem

ORDERS = "/api/v1/orders"
BODY: dict[str, Any] = {
    "number": "2026-17",
    "quantity": 3,
    "price": "12.50",
    "deliver_on": "2026-12-24",
    "placed_at": "2026-12-01T10:00:00.123456Z",
    "details": {"gift": True, "lines": [1, 2.5, None], "note": "für Ada"},
}


async def place(api: Api, owner: Account, **values: Any) -> dict[str, Any]:
    response = await api.client.post(ORDERS, json=BODY | values, headers=owner.headers)
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()["data"]
    return created


async def numbers(api: Api, caller: Account, query: str = "", path: str = ORDERS) -> list[str]:
    response = await api.client.get(f"{path}?{query}", headers=caller.headers)
    assert response.status_code == 200, response.text
    return [order["number"] for order in response.json()["data"]]


async def test_every_type_comes_out_as_it_was_sent_on_each_path(api: Api) -> None:
    owner = await api.register()
    created = await place(api, owner, remark="Ring twice")
    path = f"{ORDERS}/{created['public_id']}"

    got = (await api.client.get(path, headers=owner.headers)).json()["data"]
    listed = (await api.client.get(ORDERS, headers=owner.headers)).json()["data"]
    changed = await api.client.patch(path, json={"price": "0.05"}, headers=owner.headers)

    assert created | BODY == created
    assert created["status"] == "open"
    assert created["owner_public_id"] == owner.public_id
    assert created["ordered_on"] == datetime.now(UTC).date().isoformat()
    assert [got, *listed] == [created, created]
    assert changed.json()["data"]["price"] == "0.05"
    assert changed.json()["data"]["details"] == BODY["details"]
    # The order of a transaction, with a key, has the defaults of the model too.
    key = owner.headers | {"Idempotency-Key": "e7a9c1d2"}
    second = await api.client.post(ORDERS, json=BODY | {"number": "2"}, headers=key)
    assert second.json()["data"].keys() == created.keys()
    assert second.json()["data"]["ordered_on"] == created["ordered_on"]


async def test_a_shared_order_is_read_by_all_and_changed_by_its_owner(api: Api) -> None:
    owner, other = await api.register(), await api.register()
    shared = await place(api, owner, is_shared=True)
    await place(api, owner, number="private")
    path = f"{ORDERS}/{shared['public_id']}"

    assert await numbers(api, other) == ["2026-17"]
    assert await numbers(api, other, "price_gte=1") == ["2026-17"]
    assert await numbers(api, owner) == ["private", "2026-17"]
    assert await numbers(api, other, path=f"{ORDERS}/my") == []
    assert await numbers(api, owner, "quantity_lt=4", path=f"{ORDERS}/my") == ["private", "2026-17"]
    assert (await api.client.get(path, headers=other.headers)).status_code == 200
    problem(await api.client.delete(path, headers=other.headers), 404, "not_found")


async def test_an_administrator_reads_and_changes_the_orders_of_all(api: Api) -> None:
    owner, administrator = await api.register(), await api.register_admin()
    path = f"{ORDERS}/{(await place(api, owner))['public_id']}"

    assert (await api.client.get(path, headers=administrator.headers)).status_code == 200
    change = {"remark": "Checked"}
    changed = await api.client.patch(path, json=change, headers=administrator.headers)
    assert changed.json()["data"]["remark"] == "Checked"
    assert changed.json()["data"]["owner_public_id"] == owner.public_id


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=open", ["b", "a"]),
        ("status=sent", []),
        ("status=open&status=sent", ["b", "a"]),
        ("is_shared=false", ["b", "a"]),
        ("price_gte=10&price_lte=20", ["b"]),
        ("quantity_lt=3", ["a"]),
        ("number_prefix=a", ["a"]),
        ("remark_null=true", ["a"]),
        ("remark_null=false", ["b"]),
        ("is_late=true", ["a"]),
        ("sort=price", ["a", "b"]),
        ("sort=remark", ["b", "a"]),
        ("sort=-number,price", ["b", "a"]),
    ],
)
async def test_filters_and_orders_follow_from_their_names(
    api: Api, query: str, expected: list[str]
) -> None:
    owner = await api.register()
    late = (datetime.now(UTC).date() - timedelta(days=30)).isoformat()
    early = date(2999, 1, 1).isoformat()
    await place(api, owner, number="a", price="5.00", quantity=1, deliver_on=late)
    await place(
        api, owner, number="b", price="15.00", quantity=9, remark="Fragile", deliver_on=early
    )

    assert await numbers(api, owner, query) == expected
    assert await numbers(api, owner, f"limit=5&{query}") == expected


async def test_a_filter_by_public_id_finds_the_row(api: Api) -> None:
    owner = await api.register()
    order = await place(api, owner)
    await place(api, owner, number="another")

    assert await numbers(api, owner, f"public_id={order['public_id']}") == ["2026-17"]


@pytest.mark.parametrize("sort", ["price", "-remark", "number,price"])
async def test_cursors_reach_every_row_in_each_order(api: Api, sort: str) -> None:
    owner = await api.register()
    for number, remark in (("1", None), ("2", "b"), ("3", None), ("4", "a"), ("5", "b")):
        await place(api, owner, number=number, remark=remark, price=f"{number}.00")

    whole = await numbers(api, owner, f"sort={sort}&limit=100")
    found: list[str] = []
    query = {"sort": sort, "limit": "2"}
    while True:
        page = (await api.client.get(ORDERS, params=query, headers=owner.headers)).json()
        found += [order["number"] for order in page["data"]]
        if page["meta"]["next_cursor"] is None:
            break
        query["cursor"] = page["meta"]["next_cursor"]

    assert found == whole
    assert sorted(found) == ["1", "2", "3", "4", "5"]


async def test_an_order_is_sent_once_and_then_stays_as_it_is(api: Api) -> None:
    owner = await api.register()
    path = f"{ORDERS}/{(await place(api, owner))['public_id']}"

    responses = await asyncio.gather(
        *(api.client.post(f"{path}/send", headers=owner.headers) for _ in range(4))
    )

    assert sorted(each.status_code for each in responses) == [200, 409, 409, 409]
    [sent] = [each for each in responses if each.status_code == 200]
    assert sent.json()["data"]["status"] == "sent"
    changed = await api.client.patch(path, json={"quantity": 1}, headers=owner.headers)
    problem(changed, 409, "order_sent")


async def test_a_repeated_order_is_no_error_when_it_was_the_last_one_allowed(api: Api) -> None:
    owner = await api.register()
    for number in range(9):
        await place(api, owner, number=str(number))
    key = owner.headers | {"Idempotency-Key": "e7a9c1d2"}

    last = await api.client.post(ORDERS, json=BODY, headers=key)
    again = await api.client.post(ORDERS, json=BODY, headers=key)
    further = await api.client.post(ORDERS, json=BODY | {"number": "x"}, headers=owner.headers)

    assert (last.status_code, again.content) == (201, last.content)
    problem(further, 409, "too_many_orders")


async def test_a_repeated_action_with_a_key_gets_the_first_response(api: Api) -> None:
    owner = await api.register()
    path = f"{ORDERS}/{(await place(api, owner))['public_id']}/send"
    key = owner.headers | {"Idempotency-Key": "e7a9c1d2"}

    first = await api.client.post(path, headers=key)
    again = await api.client.post(path, headers=key)

    assert (first.status_code, again.content) == (200, first.content)


async def test_a_deleted_order_is_restored_unless_its_number_is_taken(api: Api) -> None:
    owner, other = await api.register(), await api.register()
    order = await place(api, owner)
    path = f"{ORDERS}/{order['public_id']}"
    await api.client.delete(path, headers=owner.headers)
    again = await place(api, owner)

    taken = await api.client.post(f"{path}/restore", headers=owner.headers)
    await api.client.delete(f"{ORDERS}/{again['public_id']}", headers=owner.headers)
    restored = await api.client.post(f"{path}/restore", headers=owner.headers)
    hidden = await api.client.post(f"{path}/restore", headers=other.headers)

    problem(taken, 409, "restore_conflict")
    assert restored.json()["data"]["public_id"] == order["public_id"]
    problem(hidden, 404, "not_found")
    unknown = f"{ORDERS}/01890a5d-ac96-774b-bcce-b302099a8057/restore"
    problem(await api.client.post(unknown, headers=owner.headers), 404, "not_found")


async def test_a_duplicate_number_is_a_conflict(api: Api) -> None:
    owner = await api.register()
    await place(api, owner)

    second = await api.client.post(ORDERS, json=BODY, headers=owner.headers)

    problem(second, 409, "conflict")


@pytest.mark.parametrize(
    "value", [{"price": "12345678901.00"}, {"quantity": 2**31}, {"number": "x" * 41}]
)
async def test_a_value_that_its_column_cannot_hold_is_refused(api: Api, value: Any) -> None:
    owner = await api.register()

    response = await api.client.post(ORDERS, json=BODY | value, headers=owner.headers)

    problem(response, 422, "validation_failed")


async def test_a_row_of_a_deleted_account_is_not_inserted(api: Api, database: Database) -> None:
    owner = await api.register()
    async with database.sessions() as session:
        account = (await session.scalars(select(User))).one()
        await session.execute(update(User).values(is_deleted=True))
        await session.commit()
        caller: Any = type("Caller", (), {"user_id": account.id, "public_id": owner.public_id})
        values: dict[str, Any] = {
            **BODY,
            "price": 1,
            "deliver_on": date(2026, 12, 24),
            "placed_at": datetime.now(UTC),
        }

        with pytest.raises(UnauthorizedError):
            await OrderRepository(session).insert(caller, ["public_id"], values)


def test_a_field_that_is_no_column_is_refused_with_the_remedy() -> None:
    with pytest.raises(TypeError, match="colour: no column of Order"):
        OrderRepository(None)._queries(["colour"])  # type: ignore[call-overload]  # no session


def test_a_filter_of_no_column_is_refused_with_the_remedy() -> None:
    with pytest.raises(LookupError, match="colour_gte: Order has no such column"):
        OrderRepository(None)._filter("colour_gte")  # type: ignore[call-overload]  # no session


def test_rows_without_the_request_of_their_page_are_refused() -> None:
    with pytest.raises(TypeError, match="page request"):
        page_response(Slice([]), PublicResource)


async def test_a_response_on_a_route_without_a_service_is_refused() -> None:
    with pytest.raises(LookupError, match="service_for_caller"):
        resource_response(Order(), PublicResource)


def test_the_documentation_follows_from_the_signature_and_the_docstring(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    create, change = paths[ORDERS]["post"], paths[f"{ORDERS}/{{public_id}}"]["patch"]
    headers = {
        method: {each["name"] for each in operation["parameters"] if each["in"] == "header"}
        for method, operation in (("create", create), ("change", change))
    }

    assert (create["operationId"], create["summary"]) == ("create_order", "Place an order")
    assert create["description"] == "The price is that of the whole order."
    assert "description" not in change
    assert headers == {
        "create": {"Idempotency-Key"},
        "change": {"If-Match", "If-None-Match"},
    }
    assert {"Location", "ETag"} <= {*create["responses"]["201"]["headers"]}
    assert {*create["responses"]} == {"201", "400", "401", "409", "413", "415", "422", "429", "503"}
    assert {"404", "412", "428"} <= {*change["responses"]}
    assert "HTTPValidationError" not in app.openapi()["components"]["schemas"]
