"""The statements of a refresh: each is a transaction of its own, and one round trip."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Integer, String, bindparam, select, update
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from app.models.base import UTCDateTime
from app.models.refresh_token import RefreshToken
from app.models.user import User
from app.repositories.prepared_statement import PreparedStatement


@dataclass(frozen=True, slots=True)
class TokenFamily:
    """A family as one statement saw it, with what its user says about it.

    `answered_at` and `read_at` are by the clock that all processes share, `asked_at` is the same
    moment as `read_at` by this process's own.
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
    asked_at: datetime


class shared_clock(FunctionElement[datetime]):  # noqa: N801  # it is a function of SQL
    """The time for ordering what several processes do; its argument is that of this process."""

    type = UTCDateTime()
    inherit_cache = True


@compiles(shared_clock, "postgresql")
def _of_postgresql(_: shared_clock, __: SQLCompiler, **___: Any) -> str:
    return "clock_timestamp()"


@compiles(shared_clock, "sqlite")
def _of_sqlite(element: shared_clock, compiler: SQLCompiler, **options: Any) -> str:
    # Its processes share a machine, and so its clock.
    return compiler.process(element.clauses, **options)


# Active, not deleted, and no "end all sessions" since the login.
LIVE_USER: Final = (
    User.is_active,
    User.is_deleted.is_(False),
    User.auth_version == RefreshToken.auth_version,
)
LIVE: Final = (RefreshToken.revoked_at.is_(None), RefreshToken.is_deleted.is_(False), *LIVE_USER)

_FAMILY_ID: Final = bindparam("family_id", type_=BigInteger)
_GENERATION: Final = bindparam("from_generation", type_=Integer)
_NOW: Final = bindparam("now", type_=UTCDateTime())

# The columns are in the order of `TokenFamily`.
FIND_FAMILY: Final = PreparedStatement(
    select(
        RefreshToken.id,
        RefreshToken.public_id,
        RefreshToken.user_id,
        User.public_id.label("user_public_id"),
        RefreshToken.seed,
        RefreshToken.generation,
        RefreshToken.rotated_at,
        RefreshToken.answered_at,
        RefreshToken.expires_at,
        RefreshToken.idle_expires_at,
        select(1).where(*LIVE).correlate(RefreshToken, User).exists().label("is_live"),
        shared_clock(_NOW).label("read_at"),
        _NOW.label("asked_at"),
    )
    .join(User, User.id == RefreshToken.user_id)
    .where(RefreshToken.public_id == bindparam("family_public_id", type_=String))
)
# Compare and swap.
ROTATE: Final = PreparedStatement(
    update(RefreshToken)
    .where(
        RefreshToken.id == _FAMILY_ID,
        RefreshToken.generation == _GENERATION,
        RefreshToken.revoked_at.is_(None),
        RefreshToken.is_deleted.is_(False),
        RefreshToken.expires_at > _NOW,
        RefreshToken.idle_expires_at > _NOW,
        select(User.id)
        .where(User.id == RefreshToken.user_id, *LIVE_USER)
        .correlate(RefreshToken)
        .exists(),
    )
    .values(
        generation=RefreshToken.generation + 1,
        rotated_at=_NOW,
        answered_at=None,
        idle_expires_at=bindparam("new_idle_expires_at", type_=UTCDateTime()),
        address=bindparam("new_address", type_=String),
        user_agent=bindparam("new_user_agent", type_=String),
        updated_at=_NOW,
    )
    .returning(RefreshToken.id)
)
MARK_ANSWERED: Final = PreparedStatement(
    update(RefreshToken)
    .where(
        RefreshToken.id == _FAMILY_ID,
        RefreshToken.generation == _GENERATION,
        RefreshToken.answered_at.is_(None),
    )
    .values(answered_at=shared_clock(_NOW), updated_at=_NOW)
)
