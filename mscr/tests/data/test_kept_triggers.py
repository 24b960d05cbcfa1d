"""Triggers stay when a migration copies their table on SQLite."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection

from mscr.db.kept_triggers import keep_triggers

TABLES = (
    "CREATE TABLE items (id INTEGER PRIMARY KEY, title VARCHAR(200), place VARCHAR(100))",
    "CREATE TABLE written (title VARCHAR(200))",
    "CREATE TABLE others (id INTEGER PRIMARY KEY)",
    (
        "CREATE TRIGGER items_written AFTER INSERT ON items BEGIN"
        " INSERT INTO written (title) VALUES (new.title); END"
    ),
    (
        "CREATE TRIGGER others_written AFTER INSERT ON others BEGIN"
        " INSERT INTO written (title) VALUES ('other'); END"
    ),
)
TRIGGERS = "SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY name"


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        for statement in TABLES:
            connection.exec_driver_sql(statement)
        keep_triggers(connection)
        yield connection
    engine.dispose()


@pytest.fixture
def op(connection: Connection) -> Operations:
    return Operations(MigrationContext.configure(connection))


def triggers(connection: Connection) -> list[str]:
    return list(connection.exec_driver_sql(TRIGGERS).scalars())


def test_a_copied_table_keeps_its_triggers(connection: Connection, op: Operations) -> None:
    for column in ("place", "title"):
        with op.batch_alter_table("items") as batch:
            batch.alter_column(column, existing_type=sa.String(), type_=sa.Text())
    with op.batch_alter_table("items") as batch:
        batch.drop_column("place")
    connection.exec_driver_sql("INSERT INTO items (title) VALUES ('Milk')")

    assert triggers(connection) == ["items_written", "others_written"]
    written = connection.exec_driver_sql("SELECT title FROM written").scalars()
    assert list(written) == ["Milk"]


def test_triggers_that_a_migration_drops_stay_dropped(
    connection: Connection, op: Operations
) -> None:
    op.execute("DROP TRIGGER items_written")
    with op.batch_alter_table("items") as batch:
        batch.drop_column("place")
    op.drop_table("others")

    assert triggers(connection) == []
