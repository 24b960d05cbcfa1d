"""Autogenerate writes migrations that create an index without blocking writers."""

from alembic import command
from sqlalchemy import Index, text

from mscr.checks.migration_locks import NO_SERVER, find_locks
from mscr.tests.data.conftest import alembic_config
from mscr.tests.data.test_compared_checks import Revisions, age, parcels, revisions
from mscr.tests.data.test_migrations import schema_of

__all__ = ["revisions"]


def unique_order() -> Index:
    heavy = text("weight > 7")
    name = "uq_parcels_order_heavy"
    return Index(name, "order", unique=True, sqlite_where=heavy, postgresql_where=heavy)


def rules_broken(revisions: Revisions) -> set[str]:
    return {found.rule for found in find_locks(revisions.use(alembic_config(NO_SERVER)))}


def test_an_index_alone_blocks_no_writer(revisions: Revisions, database_url: str) -> None:
    revisions.start(parcels())
    old = schema_of(database_url)["parcels"]

    revisions.declare(parcels(unique_order))
    migration = revisions.write("second")
    command.upgrade(revisions.config, "head")
    command.check(revisions.config)
    new = schema_of(database_url)["parcels"]
    command.downgrade(revisions.config, "-1")

    assert "postgresql_concurrently=True" in migration
    assert "uq_parcels_order_heavy" in str(new)
    assert "weight > 7" in str(new)
    assert schema_of(database_url)["parcels"] == old
    assert rules_broken(revisions) == set()


def test_an_index_beside_other_changes_stays_in_their_transaction(revisions: Revisions) -> None:
    revisions.start(parcels())

    revisions.declare(parcels(age, unique_order))
    migration = revisions.write("second")

    assert "autocommit_block" not in migration
    assert rules_broken(revisions) == {"require-concurrent-index-creation"}
