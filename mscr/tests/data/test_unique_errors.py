"""A unique index of some rows, and the error of its own that a duplicate gets."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import ClassVar

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
