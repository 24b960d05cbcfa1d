"""The audit log: actor, action, time, address and outcome of events of accounts and sessions."""

from datetime import datetime
from enum import Enum as PyEnum
from typing import Final

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from mscr.models.base import BigIntegerKey, ModelBase, PublicIdMixin, UTCDateTime, utcnow
from mscr.models.enum_type import enum_type

MAX_ACTION_LENGTH: Final = 40


class Action(str, PyEnum):
    """The base of the audit log's actions. An application adds its own in a subclass."""


class AuditAction(Action):
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
    CHANGE_PASSWORD = "change_password"  # noqa: S105  # the name of an action
    REQUEST_PASSWORD_RESET = "request_password_reset"  # noqa: S105  # the name of an action
    RESET_PASSWORD = "reset_password"  # noqa: S105  # the name of an action
    REQUEST_EMAIL_VERIFICATION = "request_email_verification"
    VERIFY_EMAIL = "verify_email"
    REQUEST_EMAIL_CHANGE = "request_email_change"
    CHANGE_EMAIL = "change_email"
    DELETE_ACCOUNT = "delete_account"
    ACTIVATE_USER = "activate_user"
    DEACTIVATE_USER = "deactivate_user"
    CREATE_USER = "create_user"
    CHANGE_ROLE = "change_role"
    SET_PASSWORD = "set_password"  # noqa: S105  # the name of an action
    CLEANUP_AUDIT = "cleanup_audit"
    PURGE_DELETED = "purge_deleted"
    RETRY_JOB = "retry_job"
    DROP_JOB = "drop_job"
    ACCESS = "access"


class AuditOutcome(str, PyEnum):
    SUCCESS = "success"
    FAILURE = "failure"


def audit_indexes(table: str) -> tuple[Index, ...]:
    """Return the indexes for lists of all events, of an account's and of an actor's events."""
    return (
        Index(f"ix_{table}_occurred_at", "occurred_at", "public_id"),
        Index(f"ix_{table}_account_occurred_at", "account_public_id", "occurred_at"),
        Index(f"ix_{table}_actor_occurred_at", "actor_public_id", "occurred_at"),
    )


class AuditEventMixin(PublicIdMixin, ModelBase):
    """One event. It is written once and never changed.

    It has public ids instead of foreign keys, so that it outlives accounts and sessions. Actions
    and outcomes have no check constraint: a new action needs no migration.
    """

    id: Mapped[int] = mapped_column(BigIntegerKey, primary_key=True, sort_order=-2)
    occurred_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    action: Mapped[str] = mapped_column(String(MAX_ACTION_LENGTH))
    outcome: Mapped[AuditOutcome] = mapped_column(
        enum_type(AuditOutcome, length=20, constrained=False)
    )
    reason: Mapped[str | None] = mapped_column(
        String(60), doc="The reason of a failure, or of an action that nobody requested."
    )
    operation: Mapped[str] = mapped_column(
        String(100), doc="The route's operation id, or the command of the command line."
    )
    actor_public_id: Mapped[str | None] = mapped_column(
        String(36), doc="The actor; null if nobody proved an identity."
    )
    account_public_id: Mapped[str | None] = mapped_column(
        String(36), doc="The affected account; null if there is none."
    )
    session_public_id: Mapped[str | None] = mapped_column(
        String(36), doc="The actor's session, or that of a token which proves no bearer."
    )
    ended_session_public_id: Mapped[str | None] = mapped_column(
        String(36), doc="The session that this action ended from within another one."
    )
    address: Mapped[str] = mapped_column(String(64))
    user_agent: Mapped[str | None] = mapped_column(String(200))
    request_id: Mapped[str | None] = mapped_column(String(64))
