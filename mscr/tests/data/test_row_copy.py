"""Copies of rows between databases: types, cyclic foreign keys, sequences and refusals."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum as PyEnum
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Computed,
    Dialect,
    Enum,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    insert,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from mscr.db.row_copy import CopyError, _unreadable, copy_rows
from mscr.db.unfit_values import find_unfit
from mscr.models.base import ExactNumeric, UTCDateTime
from mscr.testing.databases import on_postgresql


class Colour(str, PyEnum):
    RED = "red"
    GREEN = "green"


METADATA = MetaData()
# The two tables refer to each other, and PEOPLE also to itself.
HOUSES = Table(
    "houses",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("owner_id", ForeignKey("people.id", name="fk_owner", use_alter=True)),
    Column("size", SmallInteger),
)
PEOPLE = Table(
    "people",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("name", String(10), nullable=False),
    Column("parent_id", ForeignKey("people.id")),
    Column("house_id", ForeignKey("houses.id")),
    Column("born_at", UTCDateTime),
    Column("is_tall", Boolean),
    Column(
        "colour", Enum(Colour, native_enum=False, values_callable=lambda c: [x.value for x in c])
    ),
    Column("photo", LargeBinary),
    Column("answers", JSON),
    Column("balance", ExactNumeric(12, 2)),
    Column("notes", Text),
    Column("doubled", Integer, Computed("id * 2")),
)
PARTS = Table("parts", METADATA, Column("no", Integer), Column("code", String(5), primary_key=True))
EMPTY = Table("empty", METADATA, Column("id", Integer, primary_key=True))
ADA: dict[str, Any] = {
    "id": 7,
    "name": "Ada €",
    "parent_id": 9,
    "house_id": 3,
    "born_at": datetime(1815, 12, 10, 1, 2, 3, 456789, tzinfo=UTC),
    "is_tall": True,
    "colour": Colour.RED,
    "photo": b"\x00\xff",
    "answers": {"a": [1, None, "\u20ac"]},
    "balance": Decimal("1234567890.12"),
    "notes": None,
}


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[AsyncConnection]:
    arguments = {"isolation_level": None} if url.startswith("sqlite") else {}
    engine = create_async_engine(url, poolclass=NullPool, connect_args=arguments)
    async with engine.connect() as connection:
        # SQLite's driver begins no transaction by itself.
        if url.startswith("sqlite"):
            await connection.exec_driver_sql("PRAGMA foreign_keys = ON")
            await connection.exec_driver_sql("BEGIN")
        yield connection


@pytest.fixture
async def source(tmp_path: Path) -> AsyncIterator[AsyncConnection]:
    async with connected(f"sqlite+aiosqlite:///{tmp_path}/source.db") as connection:
        await connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
        await connection.run_sync(METADATA.create_all)
        await connection.exec_driver_sql("COMMIT")
        await connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        await connection.exec_driver_sql("BEGIN")
        people = [ADA, {"id": 9, "name": "Byron", "parent_id": 9}]
        for person in people:
            await connection.execute(insert(PEOPLE), person)
        await connection.execute(insert(HOUSES), {"id": 3, "owner_id": 7, "size": 5})
        await connection.execute(insert(PARTS), [{"code": "b"}, {"code": "a"}])
        yield connection


@pytest.fixture
async def target(backend: str, empty_url: str) -> AsyncIterator[AsyncConnection]:
    async with connected(empty_url) as connection:
        await connection.run_sync(METADATA.create_all)
        yield connection


async def all_of(connection: AsyncConnection, table: Table) -> list[dict[str, Any]]:
    rows = await connection.execute(select(table).order_by(*table.primary_key))
    return [dict(row) for row in rows.mappings()]


async def test_every_value_arrives_as_it_was(
    source: AsyncConnection, target: AsyncConnection
) -> None:
    """To the microsecond, with tables that refer to each other and to themselves."""
    counts = await copy_rows(source, target, METADATA, batch=1)

    assert counts == {"houses": 1, "people": 2, "parts": 2, "empty": 0}
    for table in METADATA.tables.values():
        assert await all_of(target, table) == await all_of(source, table)
    [ada, _] = await all_of(target, PEOPLE)
    assert {name: ada[name] for name in ADA} == ADA


async def test_the_next_row_has_the_next_number(
    source: AsyncConnection, target: AsyncConnection
) -> None:
    await copy_rows(source, target, METADATA)

    person = await target.execute(insert(PEOPLE).values(name="x"))
    house = await target.execute(insert(HOUSES).values(size=1))
    assert (person.inserted_primary_key, house.inserted_primary_key) == ((10,), (4,))


async def test_foreign_keys_are_checked_again_afterwards(
    source: AsyncConnection, target: AsyncConnection
) -> None:
    await copy_rows(source, target, METADATA)
    if target.dialect.name == "sqlite":
        await target.exec_driver_sql("PRAGMA defer_foreign_keys = OFF")

    with pytest.raises(IntegrityError, match=r"(?i)foreign key"):
        await target.execute(insert(PEOPLE).values(name="x", parent_id=4711))


async def test_a_dangling_foreign_key_is_refused(
    source: AsyncConnection, target: AsyncConnection
) -> None:
    await source.execute(insert(PEOPLE).values(id=4, name="x", parent_id=4711))

    with pytest.raises(
        CopyError, match=r"people_parent_id_fkey|row 4 refers to a row .* in people"
    ):
        await copy_rows(source, target, METADATA)


async def test_a_target_that_is_not_empty_is_refused(
    source: AsyncConnection, target: AsyncConnection
) -> None:
    await target.execute(insert(PARTS).values(code="x"))

    with pytest.raises(CopyError, match="table parts has rows"):
        await copy_rows(source, target, METADATA)


UNFIT_ON_POSTGRESQL = {
    "UPDATE people SET name = 'a' || char(0) WHERE id = 9": "row id=9: name has a NUL",
    "UPDATE people SET name = 'much too long' WHERE id = 9": "row id=9: name has 13 characters",
    "UPDATE houses SET size = 40000": "table houses, row id=3: size is a number outside of 16 bits",
    "UPDATE parts SET no = 'canary' WHERE code = 'a'": "row code=a: no should be int, but is str",
}
UNREADABLE = {
    "UPDATE people SET born_at = 'canary' WHERE id = 9": "row id=9: born_at cannot be read",
    "UPDATE people SET colour = 'canary' WHERE id = 9": "row id=9: colour cannot be read",
    "UPDATE people SET name = CAST(x'ff' AS TEXT) WHERE id = 9": "row id=9: name cannot be read",
}


@on_postgresql
@pytest.mark.parametrize("statement", UNFIT_ON_POSTGRESQL)
async def test_a_value_that_does_not_fit_is_named_with_its_row(
    source: AsyncConnection, target: AsyncConnection, statement: str
) -> None:
    await source.exec_driver_sql(statement)

    with pytest.raises(CopyError) as caught:
        await copy_rows(source, target, METADATA)
    assert UNFIT_ON_POSTGRESQL[statement] in str(caught.value)
    assert "canary" not in str(caught.value)


@on_postgresql
@pytest.mark.parametrize("statement", UNREADABLE)
async def test_a_value_that_cannot_be_read_is_named_with_its_row(
    source: AsyncConnection, target: AsyncConnection, statement: str
) -> None:
    await source.exec_driver_sql(statement)

    with pytest.raises(CopyError) as caught:
        await copy_rows(source, target, METADATA)
    assert UNREADABLE[statement] in str(caught.value)
    assert "canary" not in str(caught.value)


@on_postgresql
@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("ALTER TABLE parts ADD CHECK (code <> 'b')", "row code=b: .*check constraint"),
        ("ALTER TABLE parts ADD CHECK (code::integer > 0)", r"row code=a: .* refuses it \(22P02\)"),
    ],
)
async def test_a_value_that_only_the_database_refuses_is_named_with_its_row(
    source: AsyncConnection, target: AsyncConnection, statement: str, reason: str
) -> None:
    await target.exec_driver_sql(statement)

    with pytest.raises(CopyError, match=reason):
        await copy_rows(source, target, METADATA)


@on_postgresql
async def test_a_source_table_that_disappears_is_reported(
    source: AsyncConnection, target: AsyncConnection
) -> None:
    await source.exec_driver_sql("ALTER TABLE parts RENAME TO pieces")

    with pytest.raises(CopyError, match="table parts"):
        await copy_rows(source, target, METADATA)


@on_postgresql
async def test_a_table_that_is_readable_again_is_named_with_the_first_error(
    source: AsyncConnection, backend: str
) -> None:
    error = await _unreadable(source, PARTS, list(PARTS.columns), OSError("gone"))

    assert str(error) == "table parts cannot be read: the database refuses it (OSError)"


@on_postgresql
async def test_rows_that_a_rule_swallows_are_detected(
    source: AsyncConnection, target: AsyncConnection
) -> None:
    await target.exec_driver_sql("CREATE RULE lose AS ON INSERT TO parts DO INSTEAD NOTHING")

    with pytest.raises(CopyError, match="table parts has 0 rows, not 2"):
        await copy_rows(source, target, METADATA)


@on_postgresql
async def test_deadlines_of_requests_do_not_apply(
    source: AsyncConnection, target: AsyncConnection
) -> None:
    await target.exec_driver_sql("SET LOCAL statement_timeout = 1000")
    await copy_rows(source, target, METADATA)

    assert await target.scalar(text("SHOW statement_timeout")) == "0"


ON_POSTGRESQL: Dialect = make_url("postgresql+asyncpg://").get_dialect()()
VALUES = Table(
    "values",
    MetaData(),
    Column("text", String(3)),
    Column("number", Integer),
    Column("large", BigInteger),
    Column("bytes", LargeBinary),
    Column("needed", Boolean, nullable=False),
)


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("text", "abc", None),
        ("text", None, None),
        ("text", "\ud800", "text is not valid Unicode"),
        ("text", 5, "text should be str, but is int"),
        ("number", 2**31 - 1, None),
        ("number", 2**31, "number is a number outside of 32 bits"),
        ("large", 2**63 - 1, None),
        ("large", -(2**63) - 1, "large is a number outside of 64 bits"),
        ("bytes", "abc", "bytes should be bytes, but is str"),
        ("bytes", b"abc", None),
        ("needed", None, "needed is null, which the column does not accept"),
    ],
)
def test_a_value_is_unfit(name: str, value: Any, fault: str | None) -> None:
    assert find_unfit(VALUES, {name: value}, ON_POSTGRESQL) == fault
