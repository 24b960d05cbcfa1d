"""The schema is compared with the code: readiness and `doctor` report what is missing."""

from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import (
    DOUBLE_PRECISION,
    JSON,
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Dialect,
    Double,
    Enum,
    Float,
    Index,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
    Time,
    Unicode,
    Uuid,
    func,
    make_url,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import NullType, TypeEngine
from structlog.testing import capture_logs

from examples.catalogue.db.session import Database, search_columns
from examples.catalogue.models.base import Base
from mscr.db.column_types import is_unfit
from mscr.db.schema_check import SchemaCheck, find_faults
from mscr.models.base import ExactNumeric, UTCDateTime
from mscr.testing.databases import on_postgresql, on_sqlite
from mscr.testing.problems import problem
from mscr.testing.waiting import connection_to
from mscr.tests.support.command_line import Cli

READY = "/health/ready"
FATAL = {
    "DROP TABLE item_tags": "table item_tags is missing",
    "ALTER TABLE users DROP COLUMN full_name": "column users.full_name is missing",
    "ALTER TABLE refresh_tokens DROP COLUMN writes": "column refresh_tokens.writes is missing",
    "DROP INDEX uq_users_email_key_living": "unique index uq_users_email_key_living is missing",
    "DROP INDEX uq_users_email_key_living;"
    "CREATE UNIQUE INDEX uq_users_email_key_living ON users (email_key)": (
        "unique index uq_users_email_key_living is different"
    ),
}
FATAL_ON_POSTGRESQL = {
    "ALTER TABLE users ALTER full_name TYPE varchar(199)": (
        "column users.full_name is VARCHAR(199), not VARCHAR(200)"
    ),
    "ALTER TABLE users ALTER created_at TYPE timestamp": (
        "column users.created_at is TIMESTAMP WITHOUT TIME ZONE, not TIMESTAMP WITH TIME ZONE"
    ),
    "ALTER TABLE users ALTER is_active DROP DEFAULT, ALTER is_active TYPE text": (
        "column users.is_active is TEXT, not BOOLEAN"
    ),
    "ALTER TABLE audit_events ALTER id TYPE integer": (
        "column audit_events.id is INTEGER, not BIGINT"
    ),
    "ALTER TABLE users ALTER full_name SET NOT NULL": "column users.full_name does not accept null",
    "ALTER TABLE users ALTER id DROP DEFAULT": "column users.id has no default",
    "ALTER TABLE users ADD shoe_size integer NOT NULL": (
        "column users.shoe_size, which this code does not write, has no default"
    ),
    "ALTER TABLE items DROP search_vector": "column items.search_vector is missing",
    "ALTER TABLE item_tags DROP CONSTRAINT pk_item_tags": (
        "the primary key of item_tags is missing or different"
    ),
    "ALTER TABLE idempotency_keys"
    " DROP CONSTRAINT uq_idempotency_keys_user_id_operation_key_digest": (
        "unique constraint uq_idempotency_keys_user_id_operation_key_digest is missing or different"
    ),
    "ALTER TABLE items DROP CONSTRAINT ck_items_status;"
    "ALTER TABLE items ADD CONSTRAINT ck_items_status CHECK (status IN ('draft', 'active'))": (
        "check ck_items_status refuses archived"
    ),
    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_users_public_id'::regclass": (
        "unique index ix_users_public_id is missing"
    ),
}
TOLERATED_ON_POSTGRESQL = {
    "ALTER TABLE users ALTER email DROP NOT NULL": "column users.email accepts null",
    "DROP INDEX ix_items_status_title": "index ix_items_status_title is missing",
    "ALTER TABLE items DROP CONSTRAINT fk_items_owner_id_users": (
        "foreign key of items.owner_id is missing"
    ),
    "ALTER TABLE items DROP CONSTRAINT ck_items_status": "check ck_items_status is missing",
}
NEWER = [
    "UPDATE alembic_version SET version_num = '9999'",
    "CREATE TABLE novelties (id integer PRIMARY KEY, name varchar(10) NOT NULL)",
    "ALTER TABLE users ADD COLUMN nickname varchar(10)",
    "ALTER TABLE users ADD COLUMN shoe_size integer NOT NULL DEFAULT 42",
    "CREATE UNIQUE INDEX uq_users_full_name ON users (full_name)",
]
NEWER_ON_POSTGRESQL = [
    "ALTER TABLE users ALTER full_name TYPE varchar(300)",
    "ALTER TABLE users ALTER full_name TYPE text",
    "ALTER TABLE users ALTER id TYPE bigint",
    "ALTER TABLE users ADD row_number bigint GENERATED ALWAYS AS IDENTITY",
    "ALTER TABLE users ADD name_length integer NOT NULL GENERATED ALWAYS AS (length(email)) STORED",
    (
        "ALTER TABLE items DROP CONSTRAINT ck_items_status;"
        "ALTER TABLE items ADD CONSTRAINT ck_items_status"
        " CHECK (status IN ('draft', 'active', 'archived', 'lent'))"
    ),
]


async def change(url: str, statements: str) -> None:
    async with connection_to(url) as connection:
        for statement in statements.split(";"):
            await connection.exec_driver_sql(statement)


async def faults_after(database: Database, statements: str) -> list[tuple[str, bool]]:
    """Return the faults after a change, which is then rolled back."""
    async with database.engine.connect() as connection:
        for statement in statements.split(";"):
            await connection.exec_driver_sql(statement)
        faults = await connection.run_sync(find_faults, Base.metadata, search_columns)
    return [(str(fault), fault.is_fatal) for fault in faults]


@pytest.mark.parametrize("damage", FATAL)
async def test_with_an_older_schema_readiness_is_503_and_the_fault_is_logged_once(
    client: AsyncClient, database_url: str, damage: str
) -> None:
    """RL1: the revision in the database does not matter."""
    await change(database_url, damage)

    with capture_logs() as events:
        body = problem(await client.get(READY), 503, "service_unavailable")
        problem(await client.get(READY), 503, "service_unavailable")

    [missing] = [event["missing"] for event in events if event["event"] == "schema_differs"]
    assert missing == [FATAL[damage]]
    assert body["detail"] == "The database's schema is older than this code."


@on_postgresql
async def test_a_schema_that_refuses_writes_of_the_code_is_not_usable(database: Database) -> None:
    """RL1."""
    found = {each: await faults_after(database, each) for each in FATAL_ON_POSTGRESQL}

    assert found == {each: [(fault, True)] for each, fault in FATAL_ON_POSTGRESQL.items()}


@on_sqlite
async def test_a_search_index_that_is_missing_is_not_ready(
    client: AsyncClient, database_url: str
) -> None:
    """RL1: no model declares it."""
    await change(database_url, "DROP TABLE items_search")

    assert (await client.get(READY)).status_code == 503


@on_postgresql
async def test_a_missing_safeguard_is_reported_and_the_process_stays_ready(
    client: AsyncClient, database: Database, database_url: str
) -> None:
    """RL1: an index that was dropped in an emergency must not take every process out of service."""
    found = {each: await faults_after(database, each) for each in TOLERATED_ON_POSTGRESQL}
    await change(database_url, "DROP INDEX ix_items_status_title")

    with capture_logs() as events:
        assert (await client.get(READY)).status_code == 200
    assert found == {each: [(fault, False)] for each, fault in TOLERATED_ON_POSTGRESQL.items()}
    [event] = [event for event in events if event["event"] == "schema_differs"]
    assert (event["log_level"], event["usable"]) == ("warning", True)


async def test_a_newer_schema_is_ready(client: AsyncClient, database_url: str) -> None:
    """RL11: during a rollout, the old code runs beside the new schema."""
    await change(database_url, ";".join(NEWER))

    with capture_logs() as events:
        assert (await client.get(READY)).status_code == 200
    assert [event for event in events if event["event"] == "schema_differs"] == []


@on_postgresql
async def test_a_wider_schema_has_no_faults(database: Database) -> None:
    """RL11."""
    found = {each: await faults_after(database, each) for each in NEWER_ON_POSTGRESQL}

    assert found == {each: [] for each in NEWER_ON_POSTGRESQL}


async def test_readiness_waits_for_the_right_schema_and_stays(
    client: AsyncClient, database_url: str
) -> None:
    await change(database_url, "ALTER TABLE users DROP COLUMN full_name")
    assert (await client.get(READY)).status_code == 503
    await change(database_url, "ALTER TABLE users ADD COLUMN full_name varchar(200)")
    assert (await client.get(READY)).status_code == 200

    # A later release may drop a column that no process reads any more.
    await change(database_url, "ALTER TABLE users DROP COLUMN full_name")
    assert (await client.get(READY)).status_code == 200


async def test_a_comparison_that_fails_is_an_error(database: Database) -> None:
    """Only a lock is retried."""

    def fail(_: str) -> list[tuple[str, str]]:
        raise DBAPIError("SELECT", {}, RuntimeError("out of memory"))

    async with database.read_engine.connect() as connection:
        with pytest.raises(DBAPIError, match="out of memory"):
            await SchemaCheck(Base.metadata, fail).passes(connection)


@on_postgresql
async def test_a_comparison_within_a_transaction_leaves_it_open(database: Database) -> None:
    """As behind a transaction pooler, where every read is part of a transaction."""
    async with database.engine.connect() as connection:
        await connection.exec_driver_sql("CREATE TABLE mine (id integer)")
        assert await database.schema.passes(connection)
        assert await connection.scalar(text("SELECT count(*) FROM mine")) == 0


async def test_doctor_names_missing_columns(tmp_path: Path, database_url: str) -> None:
    damage = "ALTER TABLE users DROP COLUMN full_name"
    await change(database_url, damage)

    finished = Cli(tmp_path, database_url).run("doctor")

    (line,) = [line for line in finished.stdout.splitlines() if line.startswith("FAILED")]
    assert finished.returncode == 1
    assert FATAL[damage] in line
    assert "write a migration that adds the missing parts (alembic revision --autogenerate)" in line


@on_sqlite
async def test_doctor_names_the_first_of_many_faults(tmp_path: Path, database_url: str) -> None:
    await change(database_url, ";".join(f"DROP TABLE {name}" for name in Base.metadata.tables))
    await change(database_url, "UPDATE alembic_version SET version_num = '0001'")

    finished = Cli(tmp_path, database_url).run("doctor")

    (line,) = [line for line in finished.stdout.splitlines() if line.startswith("FAILED")]
    assert "at 0001, not at 0005: table " in line
    assert "init-db" in line


@on_postgresql
async def test_tables_of_other_schemas_are_found(database: Database) -> None:
    metadata = MetaData()
    Table("things", metadata, Column("id", Integer, primary_key=True), schema="other")
    async with database.engine.connect() as connection:
        missing = await connection.run_sync(find_faults, metadata, lambda _: [])
        await connection.exec_driver_sql("CREATE SCHEMA other")
        await connection.run_sync(metadata.create_all)
        found = await connection.run_sync(find_faults, metadata, lambda _: [])

    assert [str(fault) for fault in missing] == ["table things is missing"]
    assert found == []


async def test_indexes_of_expressions_and_constraints_without_names_are_found(
    database: Database,
) -> None:
    metadata = MetaData()
    things = Table(
        "things",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("name", String(10), unique=True),
        Column("rank", Integer),
        CheckConstraint("id > 0"),
    )
    Index("uq_lower", func.lower(things.c.name), unique=True)
    Index("uq_rank", things.c.rank.desc(), things.c.name, unique=True)
    Index("ix_lower", func.lower(things.c.name))
    async with database.engine.connect() as connection:
        await connection.run_sync(metadata.create_all)
        found = await connection.run_sync(find_faults, metadata, lambda _: [])
        await connection.exec_driver_sql("DROP INDEX uq_lower")
        missing = await connection.run_sync(find_faults, metadata, lambda _: [])
        await connection.exec_driver_sql("DROP TABLE things")
        bare = "CREATE TABLE things (id INTEGER PRIMARY KEY, rank INTEGER, name VARCHAR(10))"
        await connection.exec_driver_sql(bare)
        most = await connection.run_sync(find_faults, metadata, lambda _: [])

    assert found == []
    assert [str(fault) for fault in missing] == ["unique index uq_lower is missing"]
    assert "unique constraint of things (name) is missing or different" in map(str, most)


async def test_a_column_of_any_type_is_found_as_it_was_made(database: Database) -> None:
    metadata = MetaData()
    types: list[TypeEngine[Any]] = [
        *(Boolean(), SmallInteger(), Integer(), BigInteger(), Uuid(), Interval()),
        *(Float(), Float(24), Float(53), Double(), REAL()),
        *(Numeric(), Numeric(10, 2), ExactNumeric(10, 2)),
        *(String(), String(10), Text(), Unicode(10), Enum("a", "b", name="word")),
        *(Date(), Time(), Time(timezone=True), DateTime(), UTCDateTime()),
        *(LargeBinary(), LargeBinary(10), JSON(), JSON(none_as_null=True)),
    ]
    columns = [Column(f"c{number}", each) for number, each in enumerate(types)]
    Table("things", metadata, Column("id", Integer, primary_key=True), *columns)

    async with database.engine.connect() as connection:
        await connection.run_sync(metadata.create_all)
        found = await connection.run_sync(find_faults, metadata, lambda _: [])

    assert found == []


ON_POSTGRESQL: Dialect = make_url("postgresql+asyncpg://").get_dialect()()
ON_SQLITE: Dialect = make_url("sqlite+aiosqlite://").get_dialect()()


@pytest.mark.parametrize(
    ("actual", "needed", "dialect", "unfit"),
    [
        (String(10), String(10), ON_SQLITE, False),
        (String(10), String(20), ON_SQLITE, True),
        (String(10), Text(), ON_POSTGRESQL, True),
        (Text(), String(10), ON_POSTGRESQL, False),
        (String(32), Uuid(), ON_POSTGRESQL, False),  # Uuid is not compared
        (NullType(), String(10), ON_POSTGRESQL, False),  # a type of an extension
        (Integer(), SmallInteger(), ON_POSTGRESQL, False),
        (SmallInteger(), Integer(), ON_POSTGRESQL, True),
        (Integer(), BigInteger(), ON_SQLITE, False),  # SQLite's integers all have 64 bits
        (Integer(), BigInteger().with_variant(Integer, "postgresql"), ON_POSTGRESQL, False),
        (Integer(), String(10), ON_POSTGRESQL, True),
        (Numeric(10, 2), Numeric(12, 2), ON_POSTGRESQL, True),
        (Numeric(12, 2), Numeric(10, 2), ON_POSTGRESQL, False),
        (Double(), Float(), ON_POSTGRESQL, False),
        (DOUBLE_PRECISION(53), Float(), ON_POSTGRESQL, False),
        (DOUBLE_PRECISION(53), REAL(), ON_POSTGRESQL, False),
        (REAL(), REAL(), ON_POSTGRESQL, False),
        (REAL(), Float(24), ON_POSTGRESQL, False),
        (REAL(), Float(), ON_POSTGRESQL, True),
        (REAL(), Double(), ON_POSTGRESQL, True),
        (REAL(), Float(), ON_SQLITE, False),
        (Numeric(10, 2), Float(), ON_POSTGRESQL, True),
        (LargeBinary(), String(10), ON_POSTGRESQL, True),
        (JSONB(), JSON(), ON_POSTGRESQL, False),
        (DateTime(timezone=False), UTCDateTime(), ON_POSTGRESQL, True),
        (DateTime(timezone=True), DateTime(), ON_POSTGRESQL, False),
        (DateTime(), UTCDateTime(), ON_SQLITE, False),
    ],
)
def test_a_type_is_unfit_when_values_would_be_refused(
    actual: Any, needed: Any, dialect: Dialect, unfit: bool
) -> None:
    assert is_unfit(actual, needed, dialect) is unfit
