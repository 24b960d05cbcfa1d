"""A unique index of some rows, and the error of its own that a duplicate gets."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import ClassVar, Final

import pytest
from sqlalchemy import MetaData
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from examples.catalogue.db.session import Database
from mscr.core.exceptions import ConflictError
from mscr.models.base import ModelBase, UTCDateTime, utcnow
from mscr.models.indexes import living_index
from mscr.queries.integrity import UniqueErrors
from mscr.repositories.base import BaseRepository
from mscr.testing.databases import on_postgresql
from mscr.testing.waiting import connection_to, until
from mscr.tests.api.test_idempotency import is_waiting_for_a_lock

RIVALS: Final = 4


class LentError(ConflictError):
    code = "lent"


class Base(ModelBase, DeclarativeBase):
    metadata = MetaData()


class Loan(Base):
    __tablename__ = "loans"
    __table_args__ = (
        living_index("uq_loans_book_open", "book", unique=True, where="returned_at IS NULL"),
        living_index("uq_loans_slip", "slip", unique=True),
    )

    book: Mapped[str]
    slip: Mapped[int]
    returned_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Shelf(Base):
    __tablename__ = "shelves"

    label: Mapped[str] = mapped_column(unique=True)


class ShelfRepository(BaseRepository[Shelf]):
    model = Shelf


class LoanRepository(BaseRepository[Loan]):
    model = Loan
    unique_errors: ClassVar[UniqueErrors] = {"uq_loans_book_open": LentError}


@pytest.fixture
async def loans(database: Database) -> AsyncIterator[LoanRepository]:
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with database.sessions() as session:
        yield LoanRepository(session)


async def test_a_duplicate_gets_the_error_of_its_index_if_the_row_fulfils_its_condition(
    loans: LoanRepository,
) -> None:
    returned = await loans.create(book="Middlemarch", slip=1, returned_at=utcnow())
    await loans.soft_delete(await loans.create(book="Middlemarch", slip=2))
    await loans.create(book="Middlemarch", slip=3)

    with pytest.raises(LentError):
        async with loans.savepoint():
            await loans.create(book="Middlemarch", slip=4)
    with pytest.raises(LentError):
        async with loans.savepoint():
            await loans.update(returned, returned_at=None)

    # The savepoint has kept the earlier work.
    assert await loans.count(book="Middlemarch") == 2


async def test_a_duplicate_of_another_index_stays_an_integrity_error(
    loans: LoanRepository,
) -> None:
    await loans.create(book="Middlemarch", slip=1)

    with pytest.raises(IntegrityError, match="slip"):
        await loans.create(book="Emma", slip=1)


async def test_a_taken_value_ends_its_block_and_the_transaction_goes_on(
    loans: LoanRepository,
) -> None:
    first = await loans.create(book="Middlemarch", slip=1)
    with pytest.raises(LentError):
        async with loans.unless_taken(book="Middlemarch"):
            raise AssertionError("the block runs, although the value is taken")
    async with loans.unless_taken(book="Middlemarch", other_than=first):
        await loans.update(first, book="Middlemarch")
    with pytest.raises(ConflictError):
        async with loans.unless_taken(slip=1):
            raise AssertionError("the block runs, although the value is taken")
    async with loans.unless_taken(book="Emma"):
        second = await loans.create(book="Emma", slip=2)
    with pytest.raises(LentError):
        async with loans.unless_taken(book="Middlemarch", other_than=second):
            raise AssertionError("the block runs, although the value is taken")

    # Only the rows that the index covers count: a returned loan is none of them.
    await loans.update(first, returned_at=utcnow())
    async with loans.unless_taken(book="Middlemarch"):
        await loans.create(book="Middlemarch", slip=3)
    await loans.commit()
    assert await loans.count() == 3


async def test_a_constraint_without_a_condition_covers_deleted_rows_too(
    loans: LoanRepository,
) -> None:
    shelves = ShelfRepository(loans.session)
    await shelves.soft_delete(await shelves.create(label="A"))

    with pytest.raises(ConflictError):
        async with shelves.unless_taken(label="A"):
            raise AssertionError("the block runs, although the value is taken")


async def test_columns_without_a_unique_index_are_a_fault(loans: LoanRepository) -> None:
    with pytest.raises(TypeError, match=r"Loan has no unique constraint or index of \['returned"):
        async with loans.unless_taken(returned_at=None):
            raise AssertionError("the block runs without an index")


async def test_another_duplicate_in_the_block_stays_an_integrity_error(
    loans: LoanRepository,
) -> None:
    await loans.create(book="Middlemarch", slip=1)

    with pytest.raises(IntegrityError, match="slip"):
        async with loans.unless_taken(book="Emma"):
            await loans.create(book="Emma", slip=1)
    assert await loans.count() == 1


async def test_of_concurrent_transactions_one_takes_the_value_and_all_others_go_on(
    loans: LoanRepository, database: Database
) -> None:
    """Both find the value free; what each wrote before and after is committed."""
    ready = asyncio.Barrier(RIVALS)

    async def take(number: int) -> bool:
        async with database.sessions() as session:
            repository = LoanRepository(session)
            await ready.wait()
            await repository.create(book=f"Before {number}", slip=10 * number)
            try:
                async with repository.unless_taken(book="Middlemarch"):
                    await repository.create(book="Middlemarch", slip=10 * number + 1)
                    is_first = True
            except LentError:
                is_first = False
            await repository.create(book=f"After {number}", slip=10 * number + 2)
            await repository.commit()
        return is_first

    results = await asyncio.gather(*(take(number) for number in range(RIVALS)))

    assert sorted(results) == [*[False] * (RIVALS - 1), True]
    assert await loans.count() == 2 * RIVALS + 1


@on_postgresql
async def test_a_transaction_that_waits_for_the_value_gets_the_error_of_the_index(
    loans: LoanRepository, database: Database, database_url: str
) -> None:
    """It has checked before the other one commits."""
    await loans.create(book="Middlemarch", slip=1)
    async with database.sessions() as session, connection_to(database_url) as looking:
        second = LoanRepository(session)

        async def take() -> None:
            async with second.unless_taken(book="Middlemarch"):
                await second.create(book="Middlemarch", slip=2)

        waiting = asyncio.create_task(take())
        await until(lambda: is_waiting_for_a_lock(looking))
        await loans.commit()
        with pytest.raises(LentError):
            await waiting
        await second.create(book="Emma", slip=3)
        await second.commit()
    assert await loans.count() == 2
