"""Bounds of columns by their types. Over HTTP: mscr/tests/api/test_field_types.py."""

import json
from datetime import UTC, time
from decimal import Decimal
from typing import Any

import pytest
from pydantic_core import PydanticCustomError
from sqlalchemy import JSON, Float, Numeric, String, Text, Time, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from examples.catalogue.db.session import Database
from mscr.core.exceptions import ValidationFailedError
from mscr.db.database_errors import database_problem, database_reason
from mscr.models.base import ExactNumeric, UTCDateTime
from mscr.queries.column_bounds import check_of
from mscr.tests.support.parcels import Depot, Parcel, repository

WIDE = Numeric(30, 3)
DEEP: Any = json.loads("[" * 70 + "]" * 70)


@pytest.mark.parametrize(
    ("column_type", "value"),
    [
        (Numeric(4, 2), Decimal("99.99")),
        (Numeric(4, 2), Decimal("-99.990000")),
        (Numeric(4, 2), Decimal("0E-20")),
        (Numeric(4, 2), 99),
        (Numeric(4, 2), None),
        (Numeric(4, 2), "no number"),
        (Numeric(2, 2), Decimal("0.99")),
        (WIDE, Decimal("9" * 27 + ".999")),
        (ExactNumeric(4, 2), Decimal("12.50")),
    ],
)
def test_a_number_of_few_enough_digits_fits(column_type: TypeEngine[Any], value: Any) -> None:
    check = check_of(column_type)

    assert check is not None
    check(value)


@pytest.mark.parametrize(
    ("column_type", "value"),
    [
        (Numeric(4, 2), Decimal(100)),
        (Numeric(4, 2), Decimal("1E+2")),
        (Numeric(4, 2), Decimal("0.001")),
        (Numeric(4, 2), Decimal("1E-400")),
        (Numeric(4, 2), Decimal("NaN")),
        (Numeric(4, 2), Decimal("-Infinity")),
        (Numeric(4, 2), 100),
        (Numeric(2, 2), 1),
        (WIDE, Decimal("9" * 28)),
        (WIDE, Decimal("9" * 27 + ".9999")),
        (ExactNumeric(4, 2), Decimal("1.005")),
    ],
)
def test_a_number_that_would_be_rounded_or_refused_does_not_fit(
    column_type: TypeEngine[Any], value: Any
) -> None:
    check = check_of(column_type)

    assert check is not None
    with pytest.raises(PydanticCustomError, match="digits before"):
        check(value)


def test_a_time_of_day_fits_its_column_only_without_an_offset() -> None:
    check = check_of(Time())

    assert check is not None
    check(time(12))
    check(None)
    with pytest.raises(PydanticCustomError, match="without an offset"):
        check(time(12, tzinfo=UTC))


@pytest.mark.parametrize(
    "column_type",
    [Float(), Numeric(), Text(), String(), UTCDateTime(), Time(timezone=True)],
)
def test_a_type_without_bounds_is_not_checked(column_type: TypeEngine[Any]) -> None:
    assert check_of(column_type) is None


@pytest.mark.parametrize(
    "value", [{"a": ["\ud800"]}, ["\0"], {"a": float("nan")}, [[[]]] * 2 + [DEEP]]
)
def test_free_json_that_no_response_can_hold_does_not_fit(value: Any) -> None:
    check = check_of(JSON())

    assert check is not None
    check({"a": [1, None, "\U0001f400", 1.5]})
    with pytest.raises(PydanticCustomError):
        check(value)


async def test_free_json_that_bypasses_the_schemas_is_refused_before_it_is_stored(
    database: Database,
) -> None:
    async with database.engine.begin() as connection:
        await connection.run_sync(Depot.metadata.create_all)
    async with database.sessions() as session:
        values: dict[str, Any] = {"price": Decimal(1), "floors": 1, "quantity": 1, "tally": 1}
        with pytest.raises(ValidationFailedError) as caught:
            await repository(session).create(label="x", extra={"a": "\ud800"}, **values)

    assert caught.value.errors is not None
    assert caught.value.errors[0]["loc"] == ["body", "extra"]


@pytest.mark.parametrize(("precision", "scale"), [(19, 2), (2, 3), (4, -1)])
def test_an_exact_decimal_of_more_than_64_bits_cannot_be_declared(
    precision: int, scale: int
) -> None:
    with pytest.raises(ValueError, match="18"):
        ExactNumeric(precision, scale)


async def test_exact_decimals_are_compared_sorted_and_added_as_numbers(database: Database) -> None:
    prices = [Decimal("9.90"), Decimal("10.00"), Decimal("0.01")]
    async with database.engine.begin() as connection:
        await connection.run_sync(Depot.metadata.create_all)
    async with database.sessions() as session:
        session.add_all([parcel(price) for price in prices])
        await session.commit()
        found = await session.scalars(select(Parcel.price).order_by(Parcel.price))
        many = select(func.count()).where(Parcel.price >= Decimal("9.90"))

        assert found.all() == sorted(prices)
        assert await session.scalar(many) == 2
        assert await session.scalar(select(func.sum(Parcel.price))) == Decimal("19.91")
        assert await session.scalar(select(func.max(Parcel.discount))) is None


@pytest.mark.parametrize(
    "values", [{"tally": 2**63}, {"label": "\ud800"}], ids=["64 bits", "UTF-8"]
)
async def test_a_value_that_the_driver_cannot_send_is_a_bad_value(
    database: Database, values: dict[str, Any]
) -> None:
    """The test bypasses the repositories, which would have named the column."""
    async with database.engine.begin() as connection:
        await connection.run_sync(Depot.metadata.create_all)
    async with database.sessions() as session:
        session.add(parcel(Decimal(1), **values))
        with pytest.raises(DBAPIError) as caught:
            await session.flush()

    assert isinstance(database_problem(caught.value), ValidationFailedError)
    assert "ud800" not in database_reason(caught.value)


def parcel(price: Decimal, **values: Any) -> Parcel:
    return Parcel(
        **{"label": "x", "floors": 1, "quantity": 1, "tally": 1, "extra": {}, **values}, price=price
    )
