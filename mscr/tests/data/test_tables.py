"""The tables that an application passes to the kit are checked at start-up."""

from typing import Any

import pytest
from sqlalchemy import ForeignKey, Index, MetaData, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from examples.catalogue.models.base import Base as Ours
from examples.catalogue.models.tables import TABLES
from mscr.models.account import AccountMixin, unique_email
from mscr.models.audit_event import AuditEventMixin, audit_indexes
from mscr.models.base import NAMING_CONVENTION, ModelBase
from mscr.models.idempotency_key import IdempotencyKeyMixin
from mscr.models.job import JobMixin, job_indexes
from mscr.models.mailed_link import MailedLinkMixin, mailed_link_rules
from mscr.models.personal_data import NOT_PERSONAL, PERSONAL
from mscr.models.refresh_token import RefreshTokenMixin
from mscr.models.tables import Tables


class Elsewhere(ModelBase, DeclarativeBase):
    pass


def user_key(ondelete: str | None = "CASCADE") -> ForeignKey:
    return ForeignKey("people.id", ondelete=ondelete)


def tables_with(**changed: dict[str, Any]) -> Tables:
    """Return the tables of another application whose models have these attributes changed."""

    class Base(ModelBase, DeclarativeBase):
        metadata = MetaData(naming_convention=NAMING_CONVENTION)

    def model(name: str, mixin: type[ModelBase], **attributes: Any) -> type[Any]:
        attributes |= changed.get(name, {})
        base = attributes.pop("base", Base)
        annotations = {"user_id": Mapped[int]} if attributes.get("user_id") else {}
        attributes = {key: make() if callable(make) else make for key, make in attributes.items()}
        return type(name, (base, mixin), {**attributes, "__annotations__": annotations})

    def user_id() -> Any:
        return mapped_column(user_key(), index=True)

    return Tables(
        user=model(
            "Person",
            AccountMixin,
            __tablename__="people",
            __table_args__=lambda: (unique_email("uq_people_email"),),
        ),
        refresh_token=model("Login", RefreshTokenMixin, __tablename__="logins", user_id=user_id),
        audit_event=model(
            "Event",
            AuditEventMixin,
            __tablename__="events",
            __table_args__=lambda: audit_indexes("events"),
        ),
        idempotency_key=model(
            "Key",
            IdempotencyKeyMixin,
            __tablename__="keys",
            __table_args__=lambda: (UniqueConstraint("user_id", "operation", "key_digest"),),
            user_id=user_id,
        ),
        job=model(
            "Errand",
            JobMixin,
            __tablename__="errands",
            __table_args__=lambda: job_indexes("errands"),
        ),
        mailed_link=model(
            "Link",
            MailedLinkMixin,
            __tablename__="links",
            __table_args__=lambda: mailed_link_rules("links"),
            user_id=user_id,
        ),
    )


def test_two_applications_have_their_own_tables_in_one_process() -> None:
    tables = tables_with()

    assert tables.metadata is not Ours.metadata
    assert TABLES.metadata is Ours.metadata


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"Person": {"auth_version": None}}, "Person has no column auth_version"),
        ({"Login": {"user_agent": None}}, "Login has no column user_agent"),
        ({"Login": {"user_id": None}}, "Login has no column user_id"),
        ({"Errand": {"fault": None}}, "Errand has no column fault"),
        (
            {"Errand": {"__table_args__": ()}},
            (
                "Errand has no unique constraint or index of schedule; "
                "Errand has no index that begins with due_at"
            ),
        ),
        ({"Link": {"email": None}}, "Link has no column email"),
        (
            {"Link": {"__table_args__": ()}},
            (
                "Link has no unique constraint or index of user_id, purpose; "
                "Link has no unique constraint or index of digest; "
                "Link has no index that begins with expires_at"
            ),
        ),
        (
            {"Link": {"user_id": lambda: mapped_column(user_key(None))}},
            "Link.user_id has no foreign key to Person with ON DELETE CASCADE",
        ),
        (
            {"Event": {"reason": None, "request_id": None}},
            "Event has no column reason; Event has no column request_id",
        ),
        (
            {"Person": {"__table_args__": (Index("ix_people_created", "email"),)}},
            "Person has no unique constraint or index of email_key",
        ),
        (
            {"Person": {"public_id": lambda: mapped_column(String, info=NOT_PERSONAL)}},
            "Person has no unique constraint or index of public_id",
        ),
        (
            {"Person": {"phone": lambda: mapped_column(String)}},
            (
                "Person.phone is declared neither personal nor not personal: "
                "add info=PERSONAL or info=NOT_PERSONAL to the column"
            ),
        ),
        (
            {"Person": {"phone": lambda: mapped_column(String, nullable=False, info=PERSONAL)}},
            (
                "Person.phone is personal, and cannot be null: "
                "declare what replaces it, by info=erased_as(...)"
            ),
        ),
        (
            {"Key": {"__table_args__": (UniqueConstraint("user_id", "key_digest"),)}},
            "Key has no unique constraint or index of user_id, operation, key_digest",
        ),
        (
            {"Event": {"__table_args__": (Index("ix_events", "actor_public_id"),)}},
            (
                "Event has no index that begins with occurred_at; "
                "Event has no index that begins with account_public_id"
            ),
        ),
        (
            {"Login": {"user_id": lambda: mapped_column(index=True)}},
            "Login.user_id has no foreign key to Person with ON DELETE CASCADE",
        ),
        (
            {"Login": {"user_id": lambda: mapped_column(user_key(None), index=True)}},
            "Login.user_id has no foreign key to Person with ON DELETE CASCADE",
        ),
        (
            {
                "Login": {
                    "user_id": lambda: mapped_column(ForeignKey("people.id", ondelete="CASCADE"))
                }
            },
            "Login has no index that begins with user_id",
        ),
        (
            {"Key": {"base": Elsewhere}},
            "Key.user_id has no foreign key to Person with ON DELETE CASCADE",
        ),
        ({"Event": {"base": Elsewhere}}, "Event and Person have different MetaData"),
    ],
)
def test_a_model_without_a_required_column_index_or_key_is_refused(
    changed: dict[str, dict[str, Any]], line: str
) -> None:
    with pytest.raises(TypeError) as refused:
        tables_with(**changed)

    assert str(refused.value) == line


def test_statements_are_built_once_for_the_tables() -> None:
    tables = tables_with()
    built: list[Tables] = []

    def make(these: Tables) -> str:
        built.append(these)
        return "statements"

    assert [tables.prepared(make), tables.prepared(make)] == ["statements", "statements"]
    assert built == [tables]
