"""DR2: key rotation re-encrypts stored ciphertexts with the newest key, even under concurrency."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import astuple
from typing import Any, Final

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncSession

from examples.catalogue.db.session import Database
from examples.catalogue.models.user import User
from mscr.core.security.encryption import DecryptionError, EncryptionService
from mscr.models.base import encryption_context
from mscr.repositories.encrypted_value_repository import (
    EncryptedValueRepository,
    encrypted_columns,
)
from mscr.services.encryption_rotation_service import EncryptionRotationService, Rotation
from mscr.testing.waiting import connection_to, until
from mscr.tests.support.safes import TABLE, House, Safe, encrypted, house_of, make_safe, opened

OLD_KEY: Final = secrets.token_bytes(32)
NEW_KEY: Final = secrets.token_bytes(32)
before = EncryptionService([OLD_KEY])
during = EncryptionService([NEW_KEY, OLD_KEY])
after = EncryptionService([NEW_KEY])
foreign = EncryptionService([secrets.token_bytes(32)])

SAFES: Final = 7
# Several batches, the last of them not full.
BATCH: Final = 3


@pytest.fixture
async def house(database: Database) -> AsyncIterator[AsyncSession]:
    async with house_of(database) as session:
        yield session


@pytest.fixture
async def safes(house: AsyncSession) -> list[Safe]:
    """Return rows under the old key in the order of their ids. The third is soft-deleted."""
    made = [make_safe(before, f"0-0-{number}", hint=None) for number in range(SAFES)]
    made[0].id = -1  # ids need not begin with 1
    made[2].soft_delete()
    for safe in made:
        house.add(safe)
        await house.flush()
    await house.commit()
    return made


class Runs:
    """Rotation in its own database session, as another process would run it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.unreadable: list[tuple[str, str]] = []
        self.batches: list[int] = []

    async def rotate(self, column: str = "combination", *, stop_after: int = 99) -> Rotation:
        def on_batch(size: int) -> None:
            self.batches.append(size)
            if len(self.batches) == stop_after:
                raise KeyboardInterrupt

        async with self._database.sessions() as session:
            values = EncryptedValueRepository(TABLE.c[column], session)
            return await EncryptionRotationService(values, encryption=during).rotate(
                batch=BATCH,
                on_batch=on_batch,
                on_unreadable=lambda *told: self.unreadable.append(told),
            )


@pytest.fixture
def runs(database: Database) -> Runs:
    return Runs(database)


async def stored(database: Database) -> list[Safe]:
    async with database.read_sessions() as session:
        return list(await session.scalars(select(Safe).order_by(Safe.id)))


async def rows(database: Database) -> list[tuple[Any, ...]]:
    async with database.read_sessions() as session:
        return [tuple(row) for row in await session.execute(select(TABLE).order_by(TABLE.c.id))]


async def write(database: Database, safe: Safe, **values: str) -> None:
    """Write with raw SQL, because the column's type accepts only ciphertexts."""
    assignments = ", ".join(f"{name} = :{name}" for name in values)
    statement = text(f"UPDATE safes SET {assignments} WHERE id = {safe.id}")  # noqa: S608 - the names are the test's own
    async with database.sessions.begin() as session:
        await session.execute(statement, values)


async def test_every_value_is_readable_without_the_old_key(
    runs: Runs, safes: list[Safe], database: Database
) -> None:
    """DR2: values of soft-deleted rows too, because they can be restored."""
    rotation = await runs.rotate()

    assert astuple(rotation) == (SAFES, 0, 0)
    assert runs.batches == [3, 3, 1]
    found = await stored(database)
    assert [opened(after, safe) for safe in found] == [f"0-0-{n}" for n in range(SAFES)]
    assert found[2].is_deleted


async def test_a_second_run_writes_nothing(
    runs: Runs, safes: list[Safe], database: Database
) -> None:
    """DR2."""
    await runs.rotate()
    once = await rows(database)

    assert astuple(await runs.rotate()) == (0, SAFES, 0)
    assert await rows(database) == once


async def test_nothing_but_the_ciphertext_changes(
    runs: Runs, safes: list[Safe], database: Database
) -> None:
    """DR2: neither `updated_at` nor another encrypted column changes."""
    await write(database, safes[1], hint=encrypted(before, "hint", safes[1].public_id, "Mum"))
    column = list(TABLE.c.keys()).index("combination")
    untouched = [row[:column] + row[column + 1 :] for row in await rows(database)]

    await runs.rotate()

    assert [row[:column] + row[column + 1 :] for row in await rows(database)] == untouched


async def test_a_nullable_column_is_rotated_where_it_is_not_null(
    runs: Runs, safes: list[Safe], database: Database
) -> None:
    """DR2."""
    public_id = safes[1].public_id
    await write(database, safes[1], hint=encrypted(before, "hint", public_id, "Mum"))

    assert astuple(await runs.rotate("hint")) == (1, 0, 0)

    hint = (await stored(database))[1].hint or ""
    assert after.decrypt(hint, context=encryption_context(Safe.hint, public_id)) == "Mum"


@pytest.mark.parametrize("finished_batches", [1, 2])
async def test_an_interrupted_run_keeps_its_finished_batches_and_can_be_resumed(
    runs: Runs, safes: list[Safe], database: Database, finished_batches: int
) -> None:
    """DR2."""
    with pytest.raises(KeyboardInterrupt):
        await runs.rotate(stop_after=finished_batches)

    done = BATCH * finished_batches
    assert [after.is_current(safe.combination) for safe in await stored(database)] == (
        [True] * done + [False] * (SAFES - done)
    )
    assert astuple(await Runs(database).rotate()) == (SAFES - done, done, 0)


async def test_swapped_ciphertexts_are_reported_and_left_alone(
    runs: Runs, safes: list[Safe], database: Database
) -> None:
    """DR1, DR2: rotation must not legitimize a ciphertext that somebody moved."""
    first, second = safes[0], safes[5]
    await write(database, first, combination=second.combination)
    await write(database, second, combination=first.combination)

    rotation = await runs.rotate()

    assert astuple(rotation) == (SAFES - 2, 0, 2)
    assert runs.unreadable == [
        (safe.public_id, "the ciphertext belongs to another row or column")
        for safe in (first, second)
    ]
    found = await stored(database)
    assert (found[0].combination, found[5].combination) == (second.combination, first.combination)


async def test_a_ciphertext_moved_to_another_column_is_reported(
    runs: Runs, safes: list[Safe], database: Database
) -> None:
    """DR1, DR2: moved within one row."""
    await write(database, safes[3], hint=safes[3].combination)

    assert astuple(await runs.rotate("hint")) == (0, 0, 1)
    assert [public_id for public_id, _ in runs.unreadable] == [safes[3].public_id]


@pytest.mark.parametrize("garbage", ["", "gAAAA", "not encrypted at all", "ä" * 100])
async def test_a_value_that_is_no_ciphertext_is_reported_and_left_alone(
    runs: Runs, safes: list[Safe], database: Database, garbage: str
) -> None:
    """DR2."""
    await write(database, safes[4], combination=garbage)

    assert astuple(await runs.rotate()) == (SAFES - 1, 0, 1)

    assert runs.unreadable == [(safes[4].public_id, "unknown key or damaged ciphertext")]
    assert (await stored(database))[4].combination == garbage


async def test_a_value_under_an_unknown_key_is_reported_and_kept(
    runs: Runs, safes: list[Safe], database: Database
) -> None:
    """DR2."""
    lost = encrypted(foreign, "combination", safes[6].public_id, "9-9-9")
    await write(database, safes[6], combination=lost)

    assert astuple(await runs.rotate()) == (SAFES - 1, 0, 1)

    assert [public_id for public_id, _ in runs.unreadable] == [safes[6].public_id]
    assert opened(foreign, (await stored(database))[6]) == "9-9-9"


async def test_two_runs_at_once_share_the_work(
    runs: Runs, safes: list[Safe], database: Database
) -> None:
    """DR2."""
    both = await asyncio.gather(runs.rotate(), Runs(database).rotate())

    assert sum(rotation.renewed for rotation in both) == SAFES
    assert [rotation.renewed + rotation.current for rotation in both] == [SAFES, SAFES]
    assert all(after.is_current(safe.combination) for safe in await stored(database))


# --- concurrent changes between reading a row and writing it


async def waits_for_a_lock(url: str) -> None:
    """Wait until a statement waits for a lock. On SQLite, return: it waits before it reads."""
    if url.startswith("sqlite"):
        return
    statement = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with connection_to(url) as connection:

        async def is_waiting() -> bool:
            return bool(await connection.scalar(statement))

        await until(is_waiting)


@pytest.mark.parametrize("writer", [during, before], ids=["new key", "old key"])
async def test_a_concurrent_change_is_never_lost(
    runs: Runs,
    safes: list[Safe],
    house: AsyncSession,
    database: Database,
    database_url: str,
    writer: EncryptionService,
) -> None:
    """DR2: also the change of a process that does not have the new key yet."""
    changed = encrypted(writer, "combination", safes[1].public_id, "1-2-3")
    await house.execute(update(Safe).where(Safe.id == safes[1].id).values(combination=changed))

    run = asyncio.create_task(runs.rotate())
    await waits_for_a_lock(database_url)
    await house.commit()
    rotation = await run

    assert rotation.renewed + rotation.current == SAFES
    assert opened(after, (await stored(database))[1]) == "1-2-3"


async def test_a_row_that_is_deleted_concurrently_is_no_error(
    runs: Runs, safes: list[Safe], house: AsyncSession, database: Database, database_url: str
) -> None:
    """DR2."""
    await house.execute(delete(Safe).where(Safe.id == safes[1].id))

    run = asyncio.create_task(runs.rotate())
    await waits_for_a_lock(database_url)
    await house.commit()

    assert astuple(await run) == (SAFES - 1, 0, 0)


async def test_a_stale_ciphertext_replaces_nothing(
    safes: list[Safe], house: AsyncSession, database: Database
) -> None:
    """DR2: the update is a compare-and-swap on the ciphertext that was read."""
    values = EncryptedValueRepository(TABLE.c.combination, house)
    [value] = await values.list_after(None, limit=1)
    await values.commit()
    changed = encrypted(during, "combination", value.public_id, "1-2-3")
    await write(database, safes[0], combination=changed)

    assert not await values.replace(value, during.rotate(value.ciphertext))

    await values.commit()
    assert (await stored(database))[0].combination == changed


# --- the column


async def test_a_plaintext_is_refused_and_not_quoted(
    house: AsyncSession,
) -> None:
    """ER3: a mistake in a service must not put a plaintext secret into the table or the log."""
    house.add(Safe(combination="1-2-3 in clear"))

    with pytest.raises(StatementError, match="encrypted text only") as error:
        await house.flush()

    assert "in clear" not in str(error.value)


def test_the_context_is_the_table_the_row_and_the_column() -> None:
    """DR1."""
    assert encryption_context(Safe.hint, "0190") == "safes:0190:hint"
    assert encryption_context(TABLE.c.hint, "0190") == "safes:0190:hint"


def test_a_column_that_would_not_be_rotated_has_no_context() -> None:
    """DR2: a value encrypted into such a column would be lost with the old key."""
    with pytest.raises(TypeError, match=r"User\.full_name is not a column of type EncryptedText"):
        encryption_context(User.full_name, "0190")


def test_the_encrypted_columns_of_all_models_are_found() -> None:
    """DR2."""
    found = [str(column) for column in encrypted_columns(House.metadata)]

    assert found == ["safes.combination", "safes.hint"]


def test_a_service_with_the_newest_key_alone_reads_current_ciphertexts() -> None:
    """DR2: a ciphertext is current if the newest key alone can decrypt it."""
    old = before.encrypt("1-2-3", context="a")

    assert not during.is_current(old)
    assert during.is_current(during.rotate(old))
    assert not during.is_current("\ud800")
    with pytest.raises(DecryptionError):
        after.decrypt(old, context="a")
