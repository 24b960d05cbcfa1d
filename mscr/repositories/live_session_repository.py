from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, bindparam, inspect, select
from sqlalchemy.ext.asyncio import AsyncEngine

from mscr.models.account import AccountMixin
from mscr.models.base import UTCDateTime, utcnow
from mscr.models.tables import Tables
from mscr.queries.prepared_statement import PreparedStatement
from mscr.repositories.token_rotation import live

# Columns of a user that no response shows.
INTERNAL: Final = frozenset(
    {"id", "email_key", "password_hash", "auth_version", "is_deleted", "deleted_at"}
)


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A session that has not ended, with its user.

    `account` has the columns of the user's row by their names: all columns of the application's
    model, except `INTERNAL` and `deferred` ones.
    """

    user_id: int
    authenticated_at: datetime
    replica_count: int
    account: Any


class LiveSessionRepository:
    """The query that authenticates a request: is the session live, and who is its user?

    One statement a request, always on the primary: a replica lags, and could accept a session that
    has just been ended.
    """

    def __init__(self, engine: AsyncEngine, tables: Tables) -> None:
        self._engine = engine
        self._statement = tables.prepared(_find)

    async def find(self, *, session_id: str, user_public_id: str) -> LiveSession | None:
        """Return the live session with these public ids, or None."""
        row = await self._statement.one_or_none(
            self._engine, session_id=session_id, user_public_id=user_public_id, now=utcnow()
        )
        if row is None:
            return None
        return LiveSession(
            row.session_user_id, row.session_authenticated_at, row.session_replica_count, row
        )


def _find(tables: Tables) -> PreparedStatement:
    sessions, user = tables.refresh_token, tables.user
    return PreparedStatement(
        select(
            sessions.user_id.label("session_user_id"),
            sessions.authenticated_at.label("session_authenticated_at"),
            sessions.writes.label("session_replica_count"),
            *(getattr(user, name).label(name) for name in _account_columns(user)),
        )
        .join(user, user.id == sessions.user_id)
        .where(
            sessions.public_id == bindparam("session_id"),
            user.public_id == bindparam("user_public_id"),
            sessions.expires_at > bindparam("now", type_=UTCDateTime()),
            *live(tables),
        )
    )


def _account_columns(user: type[AccountMixin]) -> list[str]:
    attributes = inspect(user).column_attrs
    return [
        each.key
        for each in attributes
        if isinstance(each.columns[0], Column) and not each.deferred and each.key not in INTERNAL
    ]
