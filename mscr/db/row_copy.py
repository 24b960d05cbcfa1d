"""Copy all rows of a database into another one, which has the same tables and no rows.

Columns are matched by name, and values are converted by their types, so one database may be SQLite
and the other PostgreSQL. The copy is one transaction on the target, one snapshot of the source.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from sqlalchemy import Column, MetaData, Select, Table, func, insert, inspect, select
from sqlalchemy.exc import SQLAlchemyError, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import ForeignKeyConstraint, sort_tables_and_constraints

from mscr.db.unfit_values import find_unfit

BATCH: Final = 1000
# Errors of a value that cannot be read or written as its type.
_BAD_VALUE: Final = (SQLAlchemyError, ValueError, TypeError, LookupError, ArithmeticError)

# The driver's own errors, and PostgreSQL's class of bad values: their messages quote the value.
_QUOTING: Final = ("", "22")

Row = dict[str, Any]


class CopyError(Exception):
    """Nothing was copied. The text names the table and, if they are known, row and column."""


async def copy_rows(
    source: AsyncConnection,
    target: AsyncConnection,
    metadata: MetaData,
    *,
    batch: int = BATCH,
    on_rows: Callable[[int], None] = lambda _: None,
) -> dict[str, int]:
    """Copy every row of every table. Return the number of rows by table. The caller commits.

    Raise `CopyError` if a table is not empty, or if the target refuses a value.

    1. Lock the target's tables (PostgreSQL), and check that they are empty.
    2. Copy tables in the order of their foreign keys. Keys in a cycle are deferred meanwhile.
    3. Move each sequence past the highest key, and compare the number of rows.
    """
    tables, circular = _in_order(metadata.tables.values())
    await _begin(source, target, tables)
    counts: dict[str, int] = {}
    async with _checked_at_the_end(target, circular):
        for table in tables:
            counts[table.fullname] = await _copy_table(source, target, table, batch, on_rows)
    for table in tables:
        await _number_on(target, table)
        await _compare_counts(target, table, counts[table.fullname])
    return counts


async def _begin(source: AsyncConnection, target: AsyncConnection, tables: Sequence[Table]) -> None:
    for connection in (source, target):
        if connection.dialect.name == "postgresql":
            # These timeouts are meant for requests. A copy may run for any time.
            for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
                await connection.exec_driver_sql(f"SET LOCAL {name} = 0")
    if target.dialect.name == "postgresql":
        prepare = target.dialect.identifier_preparer
        names = ", ".join(prepare.format_table(table) for table in tables)
        await target.exec_driver_sql(f"LOCK TABLE {names} IN EXCLUSIVE MODE")
    for table in tables:
        if (await target.execute(select(1).select_from(table).limit(1))).first():
            raise CopyError(f"the target is not empty: table {table.fullname} has rows")


def _in_order(tables: Iterable[Table]) -> tuple[list[Table], list[ForeignKeyConstraint]]:
    """Return the tables, referenced ones first, and the foreign keys that no order satisfies."""
    order: list[Table] = []
    circular: list[ForeignKeyConstraint] = []
    sort: Callable[..., Any] = sort_tables_and_constraints  # it has no annotations
    for table, constraints in sort(tables):
        if table is None:
            circular += constraints
        else:
            order.append(table)
            circular += [c for c in table.foreign_key_constraints if c.referred_table is table]
    return order, circular


@asynccontextmanager
async def _checked_at_the_end(
    target: AsyncConnection, constraints: Sequence[ForeignKeyConstraint]
) -> AsyncIterator[None]:
    """Defer these foreign keys: rows may refer to rows that are inserted later in this block."""
    if target.dialect.name == "sqlite":
        await target.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        yield
        broken = (await target.exec_driver_sql("PRAGMA foreign_key_check")).first()
        if broken is not None:
            table, row, referred, _ = tuple(broken)
            raise CopyError(
                f"table {table}, row {row} refers to a row that is missing in {referred}"
            )
        return
    altered = [await _alter_of(target, constraint) for constraint in constraints]
    for alter in altered:
        await target.exec_driver_sql(f"{alter} DEFERRABLE INITIALLY DEFERRED")
    yield
    if altered:
        try:
            await target.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        except SQLAlchemyError as error:
            raise CopyError(f"a row refers to a missing row: {_reason(error)}") from error
    for alter, constraint in zip(altered, constraints, strict=True):
        end = "INITIALLY DEFERRED" if constraint.initially == "DEFERRED" else ""
        kind = "DEFERRABLE" if constraint.deferrable else "NOT DEFERRABLE"
        await target.exec_driver_sql(f"{alter} {kind} {end}")


async def _alter_of(target: AsyncConnection, constraint: ForeignKeyConstraint) -> str:
    table = constraint.table
    found = await target.run_sync(
        lambda sync: inspect(sync).get_foreign_keys(table.name, schema=table.schema)
    )
    columns = [column.name for column in constraint.columns]
    names = [one["name"] for one in found if one["constrained_columns"] == columns]
    prepare = target.dialect.identifier_preparer
    return (
        f"ALTER TABLE {prepare.format_table(table)} ALTER CONSTRAINT {prepare.quote(str(names[0]))}"
    )


async def _copy_table(
    source: AsyncConnection,
    target: AsyncConnection,
    table: Table,
    batch: int,
    on_rows: Callable[[int], None],
) -> int:
    count = 0
    # Generated columns cannot be written.
    columns = [column for column in table.columns if column.computed is None]
    statement = select(*columns).order_by(*table.primary_key.columns)
    statement = statement.execution_options(yield_per=batch)
    try:
        async with source.stream(statement) as found:
            async for part in found.mappings().partitions():
                await _write(target, table, [dict(row) for row in part])
                count += len(part)
                on_rows(len(part))
    except _BAD_VALUE as error:
        raise await _unreadable(source, table, columns, error) from error
    return count


async def _write(target: AsyncConnection, table: Table, rows: list[Row]) -> None:
    """Insert the rows at once. If that fails, bisect to find the row at fault."""
    error = await _insert(target, table, rows)
    if error is None:
        return
    if len(rows) == 1:
        [row] = rows
        reason = find_unfit(table, row, target.dialect) or _reason(error)
        raise CopyError(f"{_name_of(table, row)}: {reason}") from error
    middle = len(rows) // 2
    await _write(target, table, rows[:middle])
    await _write(target, table, rows[middle:])


async def _insert(target: AsyncConnection, table: Table, rows: list[Row]) -> Exception | None:
    try:
        async with target.begin_nested():
            await target.execute(insert(table), rows)
    except _BAD_VALUE as error:
        return error
    return None


async def _unreadable(
    source: AsyncConnection, table: Table, columns: Sequence[Column[Any]], error: Exception
) -> CopyError:
    """Return the error that names the first value that cannot be read. Tries column by column."""
    key = list(table.primary_key.columns) or list(columns)
    for column in columns:
        count = await _count_readable(source, select(column).order_by(*key))
        keys = select(*key).order_by(*key).offset(count).limit(1)
        try:
            row = (await source.execute(keys)).mappings().first()
        except _BAD_VALUE:
            break
        if row is not None:
            return CopyError(f"{_name_of(table, dict(row))}: {column.name} cannot be read")
    return CopyError(f"table {table.fullname} cannot be read: {_reason(error)}")


async def _count_readable(source: AsyncConnection, values: Select[Any]) -> int:
    count = 0
    with suppress(*_BAD_VALUE):
        async with source.stream(values.execution_options(yield_per=1)) as found:
            async for _ in found:
                count += 1
    return count


async def _number_on(target: AsyncConnection, table: Table) -> None:
    """Set the table's sequence, so that the next key comes after the highest one."""
    column = table.autoincrement_column
    if column is None or target.dialect.name != "postgresql":
        return
    highest = await target.scalar(select(func.max(column)))
    if highest is not None:
        name = target.dialect.identifier_preparer.format_table(table)
        sequence = func.pg_get_serial_sequence(name, column.name)
        await target.execute(select(func.setval(sequence, highest)))


async def _compare_counts(target: AsyncConnection, table: Table, expected: int) -> None:
    written = await target.scalar(select(func.count()).select_from(table))
    if written != expected:
        raise CopyError(f"table {table.fullname} has {written} rows, not {expected}")


def _name_of(table: Table, row: Row) -> str:
    key = ", ".join(f"{one.name}={row[one.key]}" for one in table.primary_key if one.key in row)
    return f"table {table.fullname}, row {key or '?'}"


def _reason(error: Exception) -> str:
    """Return the reason without the values that a driver quotes."""
    cause = error.orig if isinstance(error, StatementError) else error
    sqlstate = getattr(cause, "sqlstate", None) or ""
    is_quotable = hasattr(cause, "sqlite_errorcode") or sqlstate[:2] not in _QUOTING
    if not is_quotable:
        return f"the database refuses it ({sqlstate or type(cause).__name__})"
    return str(cause).partition("\n")[0].rpartition(">: ")[2]
