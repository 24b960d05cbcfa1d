"""What happened to accounts and sessions: who, what, when, from where, with which outcome."""

from datetime import datetime
from enum import Enum as PyEnum

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, BigIntegerKey, PublicIdMixin, utcnow


class AuditAction(str, PyEnum):
    REQUEST_REGISTRATION = "request_registration"
    REGISTER = "register"
    LOGIN = "login"
    REFRESH = "refresh"
    REAUTHENTICATE = "reauthenticate"
    CONFIRM_PASSWORD = "confirm_password"  # noqa: S105  # a word, not a secret
    LOGOUT = "logout"
    LOGOUT_ALL = "logout_all"
    END_SESSION = "end_session"
    END_OTHER_SESSIONS = "end_other_sessions"
    CHANGE_PASSWORD = "change_password"  # noqa: S105
    DELETE_ACCOUNT = "delete_account"
    ACTIVATE_USER = "activate_user"
    DEACTIVATE_USER = "deactivate_user"
    CREATE_USER = "create_user"
    CHANGE_ROLE = "change_role"
    SET_PASSWORD = "set_password"  # noqa: S105
    CLEANUP_AUDIT = "cleanup_audit"
    PURGE_DELETED = "purge_deleted"
    ACCESS = "access"


class AuditOutcome(str, PyEnum):
    SUCCESS = "success"
    FAILURE = "failure"


class AuditEvent(Base, PublicIdMixin):
    """Written once, never changed.

    It refers to others by their public ids and to no row, so that it outlives whom it speaks of.
    The words are plain text in the database: a new action needs no migration.
    """

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_occurred_at", "occurred_at", "public_id"),
        Index("ix_audit_events_account_occurred_at", "account_public_id", "occurred_at"),
        Index("ix_audit_events_actor_occurred_at", "actor_public_id", "occurred_at"),
    )

    id: Mapped[int] = mapped_column(BigIntegerKey, primary_key=True, sort_order=-2)
    occurred_at: Mapped[datetime] = mapped_column(default=utcnow)
    action: Mapped[str] = mapped_column(String(40))
    outcome: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str | None] = mapped_column(
        String(60), doc="Why it failed, or happened unasked."
    )
    operation: Mapped[str] = mapped_column(
        String(100), doc="The route's operation id, or the command of the command line."
    )
    actor_public_id: Mapped[str | None] = mapped_column(
        String(36), doc="Who did it; null where nobody proved who they are."
    )
    account_public_id: Mapped[str | None] = mapped_column(
        String(36), doc="To whose account; null where there is none."
    )
    session_public_id: Mapped[str | None] = mapped_column(
        String(36), doc="In which session; for a token that proves no bearer, in its own."
    )
    ended_session_public_id: Mapped[str | None] = mapped_column(
        String(36), doc="Which session this ended from within the other one."
    )
    address: Mapped[str] = mapped_column(String(64))
    user_agent: Mapped[str | None] = mapped_column(String(200))
    request_id: Mapped[str | None] = mapped_column(String(64))
