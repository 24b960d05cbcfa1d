"""The prepared statements of a refresh: find the family, rotate it, mark it as answered.

Each is a transaction of its own, in one round trip. The order of a refresh:

1. `find_family` reads the family. The service verifies the refresh token against its seed.
2. `rotate` raises the generation, if it is still the token's (compare and swap). Only one of
   several parallel requests with one token succeeds.
3. `mark_answered` records when the successor was first handed out. A parallel request with the
   predecessor that arrived before then gets the same successor. A later one is reuse
   (RFC 9700 §4.14), unless the interval excuses it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnExpressionArgument,
    Integer,
    String,
    bindparam,
    select,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from mscr.models.base import UTCDateTime
from mscr.models.tables import Tables
from mscr.queries.prepared_statement import PreparedStatement


@dataclass(frozen=True, slots=True)
class TokenFamily:
    """A family as one statement read it, with its user's public id.

    `is_live` is false if the session was ended, or if its user is inactive, deleted, or has ended
    all sessions. It does not look at the expiry times.

    `read_at` is the time of the query by the clock that all processes share, like `answered_at`.
    `read_at_locally` is the same moment by this process's clock. Their difference converts one to
    the other.
    """

    id: int
    public_id: str
    user_id: int
    user_public_id: str
    seed: bytes
    generation: int
    rotated_at: datetime
    answered_at: datetime | None
    expires_at: datetime
    idle_expires_at: datetime
    is_live: bool
    read_at: datetime
    read_at_locally: datetime


class shared_clock(FunctionElement[datetime]):  # noqa: N801  # it is a function of SQL
    """The time by a clock that all processes share: on PostgreSQL, the database server's.

    It puts events of several processes in order. The argument is the time by this process's clock.
    """

    type = UTCDateTime()
    inherit_cache = True


@compiles(shared_clock, "postgresql")
def _of_postgresql(_: shared_clock, __: SQLCompiler, **___: Any) -> str:
    return "clock_timestamp()"


@compiles(shared_clock, "sqlite")
def _of_sqlite(element: shared_clock, compiler: SQLCompiler, **options: Any) -> str:
    # All processes of a SQLite database run on one machine, so they share its clock already.
    return compiler.process(element.clauses, **options)


_FAMILY_ID: Final = bindparam("family_id", type_=BigInteger)
_GENERATION: Final = bindparam("from_generation", type_=Integer)
_NOW: Final = bindparam("now", type_=UTCDateTime())


def live_user(tables: Tables) -> tuple[ColumnExpressionArgument[bool], ...]:
    """Conditions: the user is active and not deleted, and the session's `auth_version` is current.

    "End all sessions" raises the user's `auth_version`.
    """
    user = tables.user
    return (
        user.is_active,
        user.is_deleted.is_(False),
        user.auth_version == tables.refresh_token.auth_version,
    )


def live(tables: Tables) -> tuple[ColumnExpressionArgument[bool], ...]:
    """Conditions: the session has not been ended, and its user is live. Expiry is not part."""
    sessions = tables.refresh_token
    return (sessions.revoked_at.is_(None), sessions.is_deleted.is_(False), *live_user(tables))


class RotationStatements:
    """The statements for an application's tables, from `tables.prepared(RotationStatements)`."""

    def __init__(self, tables: Tables) -> None:
        self.find_family = _find_family(tables)
        self.rotate = _rotate(tables)
        self.mark_answered = _mark_answered(tables)


def _find_family(tables: Tables) -> PreparedStatement:
    """Select the columns of `TokenFamily`, under the names of its fields."""
    sessions, user = tables.refresh_token, tables.user
    return PreparedStatement(
        select(
            sessions.id,
            sessions.public_id,
            sessions.user_id,
            user.public_id.label("user_public_id"),
            sessions.seed,
            sessions.generation,
            sessions.rotated_at,
            sessions.answered_at,
            sessions.expires_at,
            sessions.idle_expires_at,
            select(1).where(*live(tables)).correlate(sessions, user).exists().label("is_live"),
            shared_clock(_NOW).label("read_at"),
            _NOW.label("read_at_locally"),
        )
        .join(user, user.id == sessions.user_id)
        .where(sessions.public_id == bindparam("family_public_id", type_=String))
    )


def _rotate(tables: Tables) -> PreparedStatement:
    """Compare and swap: raise the generation, if it is still the one of the presented token.

    PostgreSQL locks the row and checks the conditions anew after a concurrent update. The second of
    two parallel requests therefore finds the raised generation, and changes nothing. The conditions
    also cover what may have happened since `find_family`: session ended, expired, or user gone.
    """
    sessions, user = tables.refresh_token, tables.user
    return PreparedStatement(
        update(sessions)
        .where(
            sessions.id == _FAMILY_ID,
            sessions.generation == _GENERATION,
            sessions.revoked_at.is_(None),
            sessions.is_deleted.is_(False),
            sessions.expires_at > _NOW,
            sessions.idle_expires_at > _NOW,
            select(user.id)
            .where(user.id == sessions.user_id, *live_user(tables))
            .correlate(sessions)
            .exists(),
        )
        .values(
            generation=sessions.generation + 1,
            rotated_at=_NOW,
            answered_at=None,
            idle_expires_at=bindparam("new_idle_expires_at", type_=UTCDateTime()),
            address=bindparam("new_address", type_=String),
            user_agent=bindparam("new_user_agent", type_=String),
            updated_at=_NOW,
        )
        .returning(sessions.id)
    )


def _mark_answered(tables: Tables) -> PreparedStatement:
    """Set `answered_at` if it is null and the generation has not been raised meanwhile."""
    sessions = tables.refresh_token
    return PreparedStatement(
        update(sessions)
        .where(
            sessions.id == _FAMILY_ID,
            sessions.generation == _GENERATION,
            sessions.answered_at.is_(None),
        )
        .values(answered_at=shared_clock(_NOW), updated_at=_NOW)
    )
