"""Children: the lines of an order are created, read, replaced, deleted and restored with it."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from httpx2 import Response
from sqlalchemy import func, select

from examples.catalogue.db.session import Database
from examples.catalogue.models.order import Order, OrderLine
from examples.catalogue.tests.api import Api
from examples.catalogue.tests.test_orders import BODY
from mscr.testing.api import Account
from mscr.testing.problems import faulty_fields, problem
from mscr.testing.statements import StatementCounter

ORDERS: Final = "/api/v1/orders"
TEAPOT: Final[dict[str, Any]] = {
    "product": "Teapot",
    "quantity": 1,
    "price": "1234567890.10",
    "needed_at": "2026-12-01T14:00:00.123456Z",
    "options": {"colour": "red", "sizes": [1, 2.5, None, {"a": "é"}]},
}
CUP: Final[dict[str, Any]] = {
    "product": "Cup",
    "quantity": 4,
    "price": "0.05",
    "needed_at": None,
    "options": {},
}


async def create(api: Api, owner: Account, *lines: dict[str, Any], **values: Any) -> Response:
    body = {**BODY, "lines": lines, **values}
    return await api.client.post(ORDERS, json=body, headers=owner.headers)


async def living_lines(database: Database) -> list[str]:
    statement = select(OrderLine.product).where(OrderLine.is_deleted.is_(False))
    async with database.read_sessions() as session:
        return list(await session.scalars(statement.order_by(OrderLine.id)))


async def test_lines_are_created_and_read_with_their_order(api: Api) -> None:
    owner = await api.register()

    created = await create(api, owner, TEAPOT, CUP)

    assert created.json()["data"]["lines"] == [TEAPOT, CUP]
    path = created.headers["location"]
    read = await api.client.get(path, headers=owner.headers)
    assert read.json() == created.json()
    assert read.headers["etag"] == created.headers["etag"]
    for query in ("", "?sort=-price", "?price_gte=1", "?limit=1"):
        listed = await api.client.get(ORDERS + query, headers=owner.headers)
        assert listed.json()["data"] == [created.json()["data"]], query


async def test_the_lines_of_a_list_cost_no_statement(api: Api, queries: StatementCounter) -> None:
    owner = await api.register()
    for number in range(3):
        await create(api, owner, TEAPOT, CUP, number=str(number))

    with queries.at_most(2):
        listed = await api.client.get(ORDERS, headers=owner.headers)
    assert [len(order["lines"]) for order in listed.json()["data"]] == [2, 2, 2]


async def test_an_order_with_a_refused_line_is_not_created(api: Api, database: Database) -> None:
    owner = await api.register()

    response = await create(api, owner, CUP, {**TEAPOT, "quantity": 0})

    assert faulty_fields(response) == [["body", "lines", 1, "quantity"]]
    assert await living_lines(database) == []
    async with database.read_sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Order)) == 0


async def test_a_change_replaces_all_lines_or_none(api: Api, database: Database) -> None:
    owner = await api.register()
    created = await create(api, owner, TEAPOT, CUP)
    path, tag = created.headers["location"], created.headers["etag"]

    async def change(**body: Any) -> Response:
        return await api.client.patch(path, json=body, headers=owner.headers)

    kept = await change(quantity=7)
    assert kept.json()["data"]["lines"] == [TEAPOT, CUP]
    replaced = await change(lines=[CUP])
    assert replaced.json()["data"]["lines"] == [CUP]
    assert replaced.headers["etag"] not in {tag, kept.headers["etag"]}
    assert replaced.json()["data"]["updated_at"] > kept.json()["data"]["updated_at"]
    assert (await change(lines=[])).json()["data"]["lines"] == []
    again = await change(lines=[TEAPOT], quantity=8)
    assert again.json()["data"]["lines"] == [TEAPOT]
    assert again.json()["data"]["quantity"] == 8
    assert await living_lines(database) == ["Teapot"]


async def test_lines_are_deleted_and_restored_with_their_order(
    api: Api, database: Database
) -> None:
    owner = await api.register()
    created = await create(api, owner, TEAPOT, CUP)
    await create(api, owner, TEAPOT, number="another")
    path = created.headers["location"]
    await api.client.patch(path, json={"lines": [CUP, CUP]}, headers=owner.headers)

    assert (await api.client.delete(path, headers=owner.headers)).status_code == 204
    assert await living_lines(database) == ["Teapot"]
    restored = await api.client.post(f"{path}/restore", headers=owner.headers)
    assert restored.json()["data"]["lines"] == [CUP, CUP]
    assert await living_lines(database) == ["Teapot", "Cup", "Cup"]
    # A second time changes nothing.
    again = await api.client.post(f"{path}/restore", headers=owner.headers)
    assert again.json() == restored.json()


async def test_the_lines_of_an_account_are_deleted_with_it(api: Api, database: Database) -> None:
    """AZ5: what belongs to an owned row belongs to its owner."""
    owner, other = await api.register(), await api.register()
    await create(api, owner, TEAPOT)
    await create(api, other, CUP)

    assert (await api.delete_account(owner)).status_code == 204

    async with database.read_sessions() as session:
        assert (await session.scalars(select(OrderLine.product))).all() == ["Cup"]


async def test_lines_have_the_same_values_as_from_the_orm(api: Api, database: Database) -> None:
    owner = await api.register()
    await create(api, owner, TEAPOT)
    async with database.read_sessions() as session:
        [line] = await session.scalars(select(OrderLine))

    assert line.price == Decimal("1234567890.10")
    assert line.needed_at == datetime.fromisoformat(TEAPOT["needed_at"])


async def test_the_lines_of_others_are_not_changed(api: Api, database: Database) -> None:
    owner, other = await api.register(), await api.register()
    path = (await create(api, owner, TEAPOT)).headers["location"]

    refused = await api.client.patch(path, json={"lines": []}, headers=other.headers)

    problem(refused, 404, "not_found")
    assert await living_lines(database) == ["Teapot"]
