"""An application with tables that refer to accounts in every way, without migrations."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from enum import Enum as PyEnum
from typing import Any, ClassVar, Final

from sqlalchemy import (
    JSON,
    Computed,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    LargeBinary,
    MetaData,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from mscr.core.config import Settings
from mscr.core.exceptions import ConflictError
from mscr.db.session import Database
from mscr.models.account import AccountMixin, unique_email
from mscr.models.audit_event import AuditEventMixin, audit_indexes
from mscr.models.base import (
    NAMING_CONVENTION,
    TYPE_ANNOTATION_MAP,
    EncryptedText,
    ModelBase,
    VersionMixin,
)
from mscr.models.enum_type import enum_type
from mscr.models.idempotency_key import IdempotencyKeyMixin
from mscr.models.job import JobMixin, job_indexes
from mscr.models.mailed_link import MailedLinkMixin, mailed_link_rules
from mscr.models.personal_data import NOT_PERSONAL, PERSONAL, erased_as
from mscr.models.refresh_token import RefreshTokenMixin
from mscr.models.tables import Tables
from mscr.queries.integrity import UniqueErrors
from mscr.repositories.account_repository import AccountRepository


class Base(ModelBase, DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = TYPE_ANNOTATION_MAP  # SQLAlchemy's attribute


class Size(str, PyEnum):
    SMALL = "small"
    LARGE = "large"


class Person(Base, AccountMixin):
    __tablename__ = "people"
    __table_args__ = (unique_email("uq_people_email"),)

    nickname: Mapped[str | None] = mapped_column(String(40), info=PERSONAL)
    born: Mapped[date | None] = mapped_column(info=PERSONAL)
    handle: Mapped[str] = mapped_column(
        String(40), unique=True, info=erased_as(lambda person: person.public_id)
    )
    size: Mapped[Size | None] = mapped_column(
        enum_type(Size, name="size", length=20), info=NOT_PERSONAL
    )
    initial: Mapped[str | None] = mapped_column(
        String(40), Computed("upper(nickname)", persisted=True)
    )


class Login(Base, RefreshTokenMixin):
    __tablename__ = "logins"

    user_id: Mapped[int] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"), index=True)


class Key(Base, IdempotencyKeyMixin):
    __tablename__ = "keys"
    __table_args__ = (UniqueConstraint("user_id", "operation", "key_digest"),)

    user_id: Mapped[int] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"))


class Event(Base, AuditEventMixin):
    __tablename__ = "events"
    __table_args__ = audit_indexes("events")


class Errand(Base, JobMixin):
    __tablename__ = "errands"
    __table_args__ = job_indexes("errands")


class Invitation(Base, MailedLinkMixin):
    __tablename__ = "invitations"
    __table_args__ = mailed_link_rules("invitations")

    user_id: Mapped[int] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"))


class Topic(Base):
    """Belongs to nobody."""

    __tablename__ = "topics"

    name: Mapped[str] = mapped_column(String(40))


class Letter(Base):
    """Deleted with its writer, with replies of others."""

    __tablename__ = "letters"

    writer_id: Mapped[int] = mapped_column(ForeignKey("people.id", ondelete="cascade"))
    reply_to_id: Mapped[int | None] = mapped_column(ForeignKey("letters.id", ondelete="CASCADE"))
    topic_id: Mapped[int] = mapped_column(ForeignKey("topics.id"))
    size: Mapped[Size] = mapped_column(enum_type(Size, name="size", length=20))
    text: Mapped[str] = mapped_column(String(2000))
    secret: Mapped[str] = mapped_column(EncryptedText)
    weight: Mapped[float] = mapped_column(Double)


class Page(Base):
    """A part of a letter, with a key of two columns."""

    __tablename__ = "pages"

    letter_id: Mapped[int] = mapped_column(ForeignKey("letters.id", ondelete="CASCADE"))
    number: Mapped[int]
    scan: Mapped[bytes] = mapped_column(LargeBinary)

    __table_args__ = (UniqueConstraint("letter_id", "number"),)


class Remark(Base):
    """Refers to a page by both columns: another page has the same number."""

    __tablename__ = "remarks"
    __table_args__ = (
        ForeignKeyConstraint(
            ["letter_id", "page"], ["pages.letter_id", "pages.number"], ondelete="CASCADE"
        ),
    )

    letter_id: Mapped[int]
    page: Mapped[int]
    details: Mapped[dict[str, Any]] = mapped_column(JSON)


class Bill(Base, VersionMixin):
    """Stays when the account is deleted: the law requires it."""

    __tablename__ = "bills"

    payer_id: Mapped[int | None] = mapped_column(ForeignKey("people.id", ondelete="SET NULL"))
    letter_id: Mapped[int | None] = mapped_column(ForeignKey("letters.id", ondelete="SET NULL"))
    country: Mapped[str] = mapped_column(String(2), info=NOT_PERSONAL)
    terms: Mapped[str] = mapped_column(String(200), info=NOT_PERSONAL)
    iban: Mapped[str | None] = mapped_column(String(2), info=PERSONAL)
    address: Mapped[str | None] = mapped_column(String(200), info=PERSONAL)


class BillLine(Base):
    """A part of a bill."""

    __tablename__ = "bill_lines"

    bill_id: Mapped[int] = mapped_column(ForeignKey("bills.id", ondelete="CASCADE"))
    text: Mapped[str] = mapped_column(String(200), info=erased_as("(erased)"))
    amount: Mapped[int]


class Vote(Base):
    """Refers to an account, and has no personal data."""

    __tablename__ = "votes"

    voter_id: Mapped[int | None] = mapped_column(ForeignKey("people.id", ondelete="SET NULL"))
    points: Mapped[int]


class HandleTakenError(ConflictError):
    code = "handle_taken"


class PersonRepository(AccountRepository[Person]):
    model = Person
    unique_errors: ClassVar[UniqueErrors] = {"uq_people_handle": HandleTakenError}

    async def create_account(self, *, email: str, **values: Any) -> Person:
        """Add the account with a bill."""
        person = await super().create_account(email=email, **values)
        self.session.add(Bill(payer_id=person.id, country="NO", terms="none"))
        return person


TABLES: Final = Tables(
    user=Person,
    refresh_token=Login,
    audit_event=Event,
    idempotency_key=Key,
    job=Errand,
    mailed_link=Invitation,
)


@asynccontextmanager
async def people_at(settings: Settings, url: str) -> AsyncIterator[Database]:
    """Yield an empty database with these tables."""
    changed = settings.model_copy(update={"DATABASE_URL": url})
    database = Database(changed, TABLES, search_columns=lambda _: ())
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield database
    await database.close()
