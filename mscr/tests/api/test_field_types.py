"""Numbers, decimals, JSON and long texts: values that no column or response can hold are 422."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import Response

from examples.catalogue.db.session import Database
from examples.catalogue.tests.api import Api
from mscr.testing.api import Account
from mscr.testing.problems import problem
from mscr.tests.support.parcels import depot_of

PARCELS = "/api/v1/parcels"
DEEP_OBJECT = '{"a":' * 300 + "1" + "}" * 300
# Characters of four bytes each.
MICE = "\U0001f400" * 20
# By name: a body, the location of its one fault, and the type of that error.
UNFIT: dict[str, tuple[str, list[str | int], str]] = {
    "small integer": ('{"floors": 32768}', ["floors"], "int_out_of_range"),
    "integer": ('{"quantity": 2147483648}', ["quantity"], "int_out_of_range"),
    "negative integer": ('{"quantity": -2147483649}', ["quantity"], "int_out_of_range"),
    "integer of 64 bits": ('{"quantity": 9223372036854775807}', ["quantity"], "int_out_of_range"),
    "big integer": ('{"tally": 9223372036854775808}', ["tally"], "int_out_of_range"),
    "integer of 100 digits": (f'{{"tally": {"9" * 100}}}', ["tally"], "int_out_of_range"),
    "long text": (f'{{"label": "{"x" * 21}"}}', ["label"], "string_too_long"),
    "price of 11 digits": ('{"price": "10000000000"}', ["price"], "string_pattern_mismatch"),
    "price of 3 places": ('{"price": "1.005"}', ["price"], "string_pattern_mismatch"),
    "price as a float": ('{"price": 0.1}', ["price"], "string_type"),
    "surrogate": ('{"extra": {"a": "\\ud800"}}', ["extra", "a"], "string_unicode"),
    "surrogate in a list": ('{"extra": [["\\udfff"]]}', ["extra", 0, 0], "string_unicode"),
    "surrogate as a key": ('{"extra": {"\\ud800": 1}}', ["extra", "\ufffd" * 3], "string_unicode"),
    "surrogate alone": ('{"extra": "\\ud800"}', ["extra"], "string_unicode"),
    "NUL in an object": ('{"extra": {"a": {"b": "\\u0000"}}}', ["extra", "a", "b"], "string_nul"),
    "NUL in a list": ('{"extra": [1, "a\\u0000"]}', ["extra", 1], "string_nul"),
    "NUL in a key": ('{"extra": {"a\\u0000": 1}}', ["extra", "a\0"], "string_nul"),
    "NaN": ('{"extra": {"a": NaN}}', ["extra", "a"], "finite_number"),
    "infinity": ('{"extra": [-Infinity]}', ["extra", 0], "finite_number"),
    "too large a float": ('{"extra": 1e999}', ["extra"], "finite_number"),
    "65 levels": (f'{{"extra": {"[" * 65}1{"]" * 65}}}', ["extra", 0], "nesting_too_deep"),
    "300 levels": (f'{{"extra": {DEEP_OBJECT}}}', ["extra", "a"], "nesting_too_deep"),
}
FIT = [
    '{"floors": -32768, "quantity": -2147483648, "tally": -9223372036854775808}',
    '{"floors": 32767, "quantity": 2147483647, "tally": 9223372036854775807}',
    '{"price": "9999999999.99"}',
    '{"price": "0.01"}',
    f'{{"label": "{MICE}"}}',
    f'{{"extra": {"[" * 64}1{"]" * 64}}}',
    '{"extra": {"": [null, true, 1.5, "\U0001f40e", 12345678901234567890123, {"a": {}}]}}',
    '{"extra": null}',
]


@pytest.fixture
async def account(app: FastAPI, api: Api, database: Database) -> AsyncIterator[Account]:
    async with depot_of(app, database):
        yield await api.register()


@pytest.mark.parametrize("name", UNFIT)
async def test_a_value_that_cannot_be_stored_is_refused_with_its_location(
    api: Api, account: Account, name: str
) -> None:
    """ER1: on creation and on a change, and nothing is stored."""
    body, place, kind = UNFIT[name]
    created = await send(api, account, "POST", PARCELS, "{}")
    path = f"{PARCELS}/{created.json()['data']['public_id']}"

    for response in (
        await send(api, account, "POST", PARCELS, body),
        await send(api, account, "PATCH", path, body),
    ):
        [fault] = problem(response, 422, "validation_failed")["errors"]
        assert (fault["loc"], fault["type"]) == (["body", *place], kind)

    listed = await api.client.get(PARCELS, headers=account.headers)
    assert listed.json()["data"] == [created.json()["data"]]


@pytest.mark.parametrize("body", FIT)
async def test_a_value_that_fits_its_column_comes_back_as_it_was_sent(
    api: Api, account: Account, body: str
) -> None:
    response = await send(api, account, "POST", PARCELS, body)
    listed = await api.client.get(PARCELS, headers=account.headers)

    assert response.status_code == 201
    assert response.json()["data"].items() >= json.loads(body).items()
    assert listed.json()["data"] == [response.json()["data"]]


@pytest.mark.parametrize(
    ("sent", "stored"),
    [('"-0.5"', "-0.5000"), ('"-0"', "0.0000"), ('"99.9999"', "99.9999"), ("null", None)],
)
async def test_a_signed_decimal_may_be_negative_or_absent(
    api: Api, account: Account, sent: str, stored: str | None
) -> None:
    await send(api, account, "POST", PARCELS, f'{{"discount": {sent}}}')
    listed = await api.client.get(PARCELS, headers=account.headers)

    assert listed.json()["data"][0]["discount"] == stored


async def test_a_price_is_the_same_before_and_after_it_was_stored(
    api: Api, account: Account
) -> None:
    response = await send(api, account, "POST", PARCELS, '{"price": "3.5"}')
    listed = await api.client.get(PARCELS, headers=account.headers)

    assert response.json()["data"]["price"] == "3.50"
    assert listed.json()["data"][0]["price"] == "3.50"


async def test_a_default_has_all_its_decimal_places_before_it_was_stored(
    api: Api, account: Account
) -> None:
    response = await send(api, account, "POST", PARCELS, "{}")

    assert response.json()["data"]["price"] == "12.50"


async def test_a_refused_price_is_explained_without_a_pattern(api: Api, account: Account) -> None:
    for sent, kind in (("price", "decimal without a sign"), ("discount", "decimal")):
        response = await send(api, account, "POST", PARCELS, f'{{"{sent}": "1.23456"}}')

        [fault] = problem(response, 422, "validation_failed")["errors"]
        assert fault["msg"].startswith(f"Input should be a {kind}, in plain notation: at most ")


async def test_an_exact_decimal_is_documented_as_the_accepted_string(
    app: FastAPI, account: Account
) -> None:
    app.openapi_schema = None
    schemas = app.openapi()["components"]["schemas"]
    app.openapi_schema = None

    for name in ("ParcelCreate", "ParcelResponse"):
        price = schemas[name]["properties"]["price"]
        assert (price["type"], price["examples"]) == ("string", ["12.50"])
        assert re.fullmatch(price["pattern"], "9999999999.99")
        assert not re.fullmatch(price["pattern"], "12.505")


@pytest.mark.parametrize("query", ["quantity=2147483648", "tally_gte=9223372036854775808"])
async def test_a_filter_outside_its_columns_range_is_refused_with_its_name(
    api: Api, account: Account, query: str
) -> None:
    """ER1: each database driver fails on such a value in its own way."""
    response = await api.client.get(f"{PARCELS}/count?{query}", headers=account.headers)

    [fault] = problem(response, 422, "validation_failed")["errors"]
    assert (fault["loc"], fault["type"]) == (
        ["query", query.partition("=")[0]],
        "int_out_of_range",
    )


async def test_a_filter_that_is_a_list_is_bounded_by_its_column(api: Api, account: Account) -> None:
    response = await api.client.get(
        f"{PARCELS}/count?floors=1&floors=40000", headers=account.headers
    )

    [fault] = problem(response, 422, "validation_failed")["errors"]
    assert fault["loc"] == ["query", "floors"]


async def test_a_filter_within_the_range_filters(api: Api, account: Account) -> None:
    await send(api, account, "POST", PARCELS, "{}")

    for query, count in (("quantity=1&floors=1&floors=2", 1), ("tally_gte=2", 0)):
        response = await api.client.get(f"{PARCELS}/count?{query}", headers=account.headers)
        assert response.json()["data"] == {"count": count}


async def send(api: Api, account: Account, method: str, path: str, body: str) -> Response:
    headers = {**account.headers, "Content-Type": "application/json"}
    content: Any = body.encode()
    return await api.client.request(method, path, content=content, headers=headers)
