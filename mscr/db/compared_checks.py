"""Compare check constraints in Alembic's autogenerate, which compares none by itself.

Each database stores a condition in a form of its own. So the constraints of a model are created on
a scratch table, and the database's forms of both are compared.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Connection,
    Dialect,
    Enum,
    MetaData,
    Table,
    create_engine,
    inspect,
)
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql.elements import conv

from mscr.db.check_conditions import admits, comparable, names_in, portable
from mscr.db.migrated_checks import UNPROVED
from mscr.db.reflected_schema import name_of

PLUGIN: Final = "mscr.compared_checks"


def compare_checks(
    context: AutogenContext,
    changes: ops.ModifyTableOps,
    schema: str | None,
    name: str,
    found: Table | None,
    declared: Table | None,
) -> PriorityDispatchResult:
    """Add the operations that give a table the named check constraints of its model."""
    if found is not None and declared is not None:
        connection = cast("Connection", context.connection)
        actual = _named(inspect(connection).get_check_constraints(name, schema=schema))
        scratch = _scratch_table(declared, connection.dialect)
        wanted = _created(connection, scratch)
        different = [
            check
            for check in sorted({*actual, *wanted})
            if comparable(actual.get(check)) != comparable(wanted.get(check))
        ]
        old = {check: portable(actual[check]) for check in different if check in actual}
        written = _conditions(scratch, connection.dialect)
        new = {
            check: written.get(check) or portable(wanted[check])
            for check in different
            if check in wanted
        }
        _add_operations(changes, declared, old, new)
    return PriorityDispatchResult.CONTINUE


# After the columns: a constraint may need a new one.
Plugin(PLUGIN).add_autogenerate_comparator(
    compare_checks, "table", "checks", priority=DispatchPriority.LAST
)


def _add_operations(
    changes: ops.ModifyTableOps, table: Table, old: dict[str, str], new: dict[str, str]
) -> None:
    """Drop the old constraints first, and create the new ones last."""
    new_columns = set(_take_checks(changes.ops, table))
    changes.ops[:0] = [
        ops.DropConstraintOp.from_constraint(_check(table, name, condition))
        for name, condition in old.items()
    ]
    for name, condition in new.items():
        # PostgreSQL would read all rows, and lock out everybody meanwhile.
        check = _check(table, name, condition, postgresql_not_valid=True)
        added = ops.AddConstraintOp.from_constraint(check)
        # The rows have null or the default in a new column.
        is_proved = admits(condition, old.get(name)) or new_columns & names_in(condition)
        added.info[UNPROVED] = not is_proved
        changes.ops.append(added)


def _take_checks(changes: Iterable[ops.MigrateOperation], table: Table) -> Iterator[str]:
    """Take the constraints out of the types of new columns. Yield the names of the columns.

    A type would create its constraint in a statement that reads all rows.
    """
    copy = _copy(table, schema=table.schema)
    for change in changes:
        if isinstance(change, ops.AddColumnOp):
            change.column = copy.columns[change.column.name]
            if isinstance(change.column.type, Boolean | Enum):
                change.column.type.create_constraint = False
            yield change.column.name


def _check(table: Table, name: str, condition: str, **options: Any) -> CheckConstraint:
    check = CheckConstraint(condition, name=conv(name), **options)
    Table(table.name, MetaData(), check, schema=table.schema)
    return check


def _named(checks: Iterable[Any]) -> dict[str, str]:
    return {check["name"]: check["sqltext"] for check in checks if check["name"] is not None}


def _copy(table: Table, schema: Any) -> Table:
    metadata = MetaData(naming_convention=table.metadata.naming_convention)
    return table.to_metadata(metadata, schema=schema)


def _scratch_table(table: Table, dialect: Dialect) -> Table:
    """Return a temporary table with the columns and check constraints of another one."""
    # PostgreSQL's schema of temporary tables hides the table of the same name.
    scratch = _copy(table, schema="pg_temp" if dialect.name == "postgresql" else None)
    scratch.constraints = {c for c in scratch.constraints if isinstance(c, CheckConstraint)}
    for column in scratch.columns:
        column.server_default = column.computed = None
    return scratch


def _created(connection: Connection, table: Table) -> dict[str, str]:
    """Return the check constraints of a table as the database stores them, by name."""
    with _scratch_connection(connection) as scratch:
        scratch.execute(CreateTable(table))
        return _named(inspect(scratch).get_check_constraints(table.name))


@contextmanager
def _scratch_connection(connection: Connection) -> Iterator[Connection]:
    """Yield a connection whose new tables disappear at the end."""
    if connection.dialect.name == "sqlite":
        engine = create_engine("sqlite://")
        with engine.connect() as memory:
            yield memory
        engine.dispose()
    else:
        savepoint = connection.begin_nested()
        yield connection
        savepoint.rollback()


def _conditions(table: Table, dialect: Dialect) -> dict[str | None, str]:
    """Return the SQL of each check constraint as the model writes it, by name."""
    constraints = [*table.constraints, *(c for column in table.columns for c in column.constraints)]
    options = {"literal_binds": True, "include_table": False}
    return {
        name_of(check, dialect): str(check.sqltext.compile(dialect=dialect, compile_kwargs=options))
        for check in constraints
        if isinstance(check, CheckConstraint)
    }
