"""Rows of prepared statements have the same names and Python types inside and outside a session."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum as PyEnum
from typing import Any, Final
from uuid import UUID

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    Date,
    Double,
    Enum,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    Time,
    TypeDecorator,
    Uuid,
    bindparam,
    cast,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from examples.catalogue.db.session import Database
from examples.catalogue.models.item import Item
from examples.catalogue.models.user import User
from mscr.models.base import ExactNumeric, UTCDateTime
from mscr.queries.prepared_statement import PreparedStatement

NOON: Final = datetime(2027, 1, 31, 12, 0, 0, 123456, UTC)


class Colour(str, PyEnum):
    RED = "red"
    BLUE = "blue"


class Celsius(TypeDecorator[Decimal]):
    """A custom type over one that each driver returns differently."""

    impl = Numeric(10, 2)
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return None if value is None else Decimal(value) / 2


class Base(DeclarativeBase):
    metadata = MetaData()


class Sample(Base):
    __tablename__ = "samples_of_types"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    colour: Mapped[Colour | None] = mapped_column(
        Enum(Colour, native_enum=False, values_callable=lambda all_: [each.value for each in all_])
    )
    document: Mapped[Any | None] = mapped_column(JSON(none_as_null=True))
    at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    price: Mapped[Decimal | None] = mapped_column(ExactNumeric(10, 2))
    ratio: Mapped[Decimal | None] = mapped_column(Numeric(10, 4))
    weight: Mapped[float | None] = mapped_column(Double)
    rough: Mapped[float | None] = mapped_column(Numeric(10, 4, asdecimal=False))
    warmth: Mapped[Decimal | None] = mapped_column(Celsius)
    key: Mapped[UUID | None] = mapped_column(Uuid)
    flag: Mapped[bool | None] = mapped_column(Boolean)
    data: Mapped[bytes | None] = mapped_column(LargeBinary)
    day: Mapped[date | None] = mapped_column(Date)
    hour: Mapped[time | None] = mapped_column(Time)
    took: Mapped[timedelta | None] = mapped_column(Interval)


FULL: Final[dict[str, Any]] = {
    "colour": Colour.BLUE,
    "document": {"a": [1, None, "b"]},
    "at": NOON,
    "price": Decimal("12.50"),
    "ratio": Decimal("0.2500"),
    "weight": 0.5,
    "rough": 1.5,
    "warmth": Decimal("21.50"),
    "key": UUID("0191a2b3-c4d5-7e6f-8a9b-0c1d2e3f4a5b"),
    "flag": True,
    "data": b"\x00\xff",
    "day": date(2027, 1, 31),
    "hour": time(12, 30),
    "took": timedelta(hours=1, microseconds=5),
}
COLUMNS: Final = [Sample.__table__.c[name] for name in FULL]
ADD: Final = PreparedStatement(
    insert(Sample)
    .values(
        {
            name: bindparam(f"new_{name}", type_=column.type)
            for name, column in zip(FULL, COLUMNS, strict=True)
        }
    )
    .returning(*COLUMNS)
)
READ: Final = PreparedStatement(select(*COLUMNS).where(Sample.id == bindparam("sample_id")))


@pytest.fixture
async def samples(database: Database) -> AsyncIterator[None]:
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)


@pytest.mark.usefixtures("samples")
@pytest.mark.parametrize("values", [FULL, dict.fromkeys(FULL)], ids=["values", "nulls"])
async def test_a_value_has_the_type_that_the_orm_gives_it_on_both_paths(
    database: Database, values: dict[str, Any]
) -> None:
    added = await ADD.one_or_none(
        database.engine, **{f"new_{name}": value for name, value in values.items()}
    )
    async with database.read_sessions() as session:
        stored = await session.get_one(Sample, 1)
        # The session has begun a transaction, so the statement runs within it.
        within = await READ.one_or_none(session, sample_id=1)
    past = await READ.one_or_none(database.engine, sample_id=1)

    expected = {name: getattr(stored, name) for name in FULL}
    for row in (added, within, past):
        assert row._asdict() == expected
        assert [type(value) for value in row] == [type(value) for value in expected.values()]


async def test_a_number_that_the_server_computes_has_the_type_of_its_expression(
    database: Database,
) -> None:
    statement = PreparedStatement(
        select(
            cast(bindparam("half", type_=Double), Double).label("a_float"),
            func.coalesce(cast(literal(0.5), Double), 1, type_=Numeric(10, 2)).label("a_decimal"),
            func.coalesce(cast(literal(0.5), Numeric(10, 2)), 1, type_=Double).label("another"),
        )
    )
    async with database.read_sessions() as session, session.begin():
        within = await statement.one_or_none(session, half=0.5)
    past = await statement.one_or_none(database.engine, half=0.5)

    assert past == within == (0.5, Decimal("0.5"), 0.5)
    assert [type(value) for value in past] == [type(value) for value in within]


async def test_columns_that_share_a_name_are_renamed_as_sqlalchemy_does(
    database: Database, owner: User
) -> None:
    both = select(User.public_id, Item.public_id, Item.title).join(Item, isouter=True)
    row = await PreparedStatement(both).one_or_none(database.engine)

    assert row._asdict() == {"public_id": owner.public_id, "public_id_1": None, "title": None}


async def test_a_column_hides_a_tuple_method_of_its_name(database: Database) -> None:
    statement = PreparedStatement(select(func.count(User.id).label("count")))
    async with database.read_sessions() as session, session.begin():
        within = await statement.one_or_none(session)
    past = await statement.one_or_none(database.engine)

    assert within.count == past.count == 0
