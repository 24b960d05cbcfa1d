"""The deletion of an account deletes its rows, and erases its personal data in others."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import ForeignKey, MetaData, String, func, select
from sqlalchemy.orm import DeclarativeBase, mapped_column

from examples.catalogue.core.config import Settings
from mscr.core.client import Client, Origin
from mscr.core.rate_limit import RequestLimiter
from mscr.db.session import Database
from mscr.models.account_rows import AccountRows
from mscr.models.base import ModelBase
from mscr.models.personal_data import NOT_PERSONAL, PERSONAL
from mscr.repositories.account_repository import AccountRepository
from mscr.repositories.audit_event_repository import AuditEventRepository
from mscr.repositories.owned_row_repository import OwnedRowRepository
from mscr.services.account_deletion_service import AccountDeletionService
from mscr.services.audit_event_service import AuditTrail
from mscr.testing.api import Account, Api
from mscr.testing.example_rows import ExampleRows
from mscr.tests.support.accounts import TABLES, Base, Bill, BillLine, Letter, Person, people_at


@pytest.fixture
async def people(settings: Settings, empty_url: str) -> AsyncIterator[Database]:
    async with people_at(settings, empty_url) as database:
        yield database


async def rows_of(email: str, people: Database) -> ExampleRows:
    """Create an account, with a row in each of its tables."""
    async with people.sessions() as session:
        users = AccountRepository(Person, session)
        await users.create_account(email=email, password_hash="$argon2id$", handle=email)
        await users.commit()
    rows = ExampleRows(Api(None, people), people, Account(email, "", {}))  # type: ignore[arg-type]  # sends nothing
    await rows.insert()
    return rows


async def delete(email: str, people: Database, settings: Settings) -> None:
    async with people.sessions() as session:
        users = AccountRepository(Person, session)
        user = await users.find_by_email(email)
        assert user is not None
        origin = Origin(Client("a test", None), "test")
        events = AuditEventRepository(session, TABLES)
        trail = AuditTrail(events, origin, requests=RequestLimiter(settings))
        owned = OwnedRowRepository(session, TABLES)
        await AccountDeletionService(users, owned, trail).delete(user)
        await users.commit()


async def test_nothing_of_a_deleted_account_is_left(people: Database, settings: Settings) -> None:
    rows = await rows_of("ada@example.com", people)
    before = await rows.left()
    await delete("ada@example.com", people, settings)

    assert {"letters has a row of the account", "people.born has its value"} <= {*before}
    assert "remarks.details has a text of the account" in before
    assert await rows.left() == []


async def test_the_rows_of_others_stay(people: Database, settings: Settings) -> None:
    await rows_of("ada@example.com", people)
    others = await rows_of("bob@example.com", people)
    before = await others.left()
    await delete("ada@example.com", people, settings)

    assert await others.left() == before


async def test_a_row_that_stays_has_a_new_version_and_what_replaces_its_texts(
    people: Database, settings: Settings
) -> None:
    await rows_of("ada@example.com", people)
    await delete("ada@example.com", people, settings)

    async with people.read_sessions() as session:
        [bill] = await session.scalars(select(Bill))
        [line] = await session.scalars(select(BillLine))
        [person] = await session.scalars(select(Person))
    assert (bill.address, bill.version, len(bill.country)) == (None, 2, 2)
    assert (line.text, line.amount) == ("(erased)", 1)
    assert (person.nickname, person.handle) == (None, person.public_id)
    assert person.email == f"{person.public_id}@deleted.invalid"


async def test_soft_deleted_rows_are_deleted_too(people: Database, settings: Settings) -> None:
    await rows_of("ada@example.com", people)
    async with people.sessions.begin() as session:
        [letter] = await session.scalars(select(Letter))
        letter.soft_delete()
    await delete("ada@example.com", people, settings)

    async with people.read_sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Letter)) == 0


def test_tables_are_found_by_their_foreign_keys() -> None:
    found = AccountRows(TABLES)

    assert {table.name for table in found.deleted} == {
        "invitations",
        *("logins", "keys", "letters", "pages", "remarks"),
    }
    assert {table.name for table in found.kept} == {"bills", "bill_lines", "votes"}
    assert [*found.faults()] == []


def faults_with(first: Any, second: Any) -> list[str]:
    """Return the faults of an application with one more table."""
    metadata = MetaData()
    for table in Base.metadata.tables.values():
        table.to_metadata(metadata)

    class Other(ModelBase, DeclarativeBase):
        pass

    Other.metadata = metadata
    type("Ticket", (Other,), {"__tablename__": "tickets", "first": first, "second": second})
    tables = type("Copied", (), {"metadata": metadata, "user": Person})
    return [*AccountRows(tables).faults()]  # type: ignore[arg-type]  # all that it reads


PREVENTS = (
    "tickets.first can prevent the deletion of accounts: give its ForeignKey "
    'ondelete="CASCADE" if the row is deleted with that of {}, or "SET NULL" if it stays'
)
UNDECLARED = (
    "tickets.second is declared neither personal nor not personal: "
    "add info=PERSONAL or info=NOT_PERSONAL to the column"
)
NOT_NULL = (
    "tickets.second is personal, and cannot be null: "
    "declare what replaces it, by info=erased_as(...)"
)


def key(table: str, ondelete: str | None = None) -> Any:
    return mapped_column(ForeignKey(f"{table}.id", ondelete=ondelete))


@pytest.mark.parametrize(
    ("first", "second", "faults"),
    [
        (key("people", "SET NULL"), mapped_column(String), [UNDECLARED]),
        (
            key("people", "SET NULL"),
            mapped_column(String, nullable=False, info=PERSONAL),
            [NOT_NULL],
        ),
        (key("people"), mapped_column(String, info=NOT_PERSONAL), [PREVENTS.format("people")]),
        (key("letters", "RESTRICT"), mapped_column(String), [PREVENTS.format("letters")]),
        (key("letters", "CASCADE"), mapped_column(String), []),
        (key("letters", "SET NULL"), mapped_column(String), []),
        (key("topics"), mapped_column(String), []),
    ],
    ids=["undeclared", "not null", "account", "letter", "part", "loose", "of nobody"],
)
def test_what_the_deletion_would_not_reach_is_named(
    first: Any, second: Any, faults: list[str]
) -> None:
    assert faults_with(first, second) == faults
