from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field, create_model

from mscr.models.audit_event import MAX_ACTION_LENGTH, Action, AuditAction, AuditOutcome
from mscr.schemas.base import Moment, ResponseSchema
from mscr.schemas.list_schemas import ListQuery, sort_field


class AuditEventListQuery(ListQuery):
    sort: str = sort_field("occurred_at", default="-occurred_at")
    action: AuditAction | None = None
    outcome: AuditOutcome | None = None
    actor: UUID | None = Field(default=None, description="Public id of the user who acted.")
    account: UUID | None = Field(
        default=None, description="Public id of the user whose account is concerned."
    )
    session: UUID | None = Field(
        default=None, description="Public id of the session in which it happened, or that it ended."
    )
    since: Moment | None = Field(
        default=None, description="At or after this time, which needs an offset."
    )
    until: Moment | None = Field(
        default=None, description="Before this time, which needs an offset."
    )


def audit_event_list_query(own_actions: type[Action]) -> type[AuditEventListQuery]:
    """Return the query that filters by the kit's actions and by those of the application.

    Raises `ValueError` if one of these has a name or value of the kit's, or is too long.
    """
    for own in own_actions:
        if fault := _fault_of(own):
            raise ValueError(f"{own_actions.__name__}.{own.name}: {fault}")
    names = [(action.name, action.value) for action in (*AuditAction, *own_actions)]
    create_enum: Any = Action  # mypy accepts literal members only
    action: Any = create_enum("AuditAction", names) | None
    return create_model("AuditEventListQuery", __base__=AuditEventListQuery, action=(action, None))


def _fault_of(own: Action) -> str | None:
    if own.name in AuditAction.__members__:
        return "the kit's AuditAction has a member of this name"
    if own.value in {action.value for action in AuditAction}:
        return f"the kit's AuditAction has the value {own.value!r} too"
    if len(own.value) > MAX_ACTION_LENGTH:
        return f"the value is longer than {MAX_ACTION_LENGTH} characters"
    return None


class AuditEventResponse(ResponseSchema):
    """All ids are public ids. Their objects may have been deleted since."""

    public_id: UUID
    occurred_at: datetime
    action: str = Field(examples=["login"])
    outcome: str = Field(examples=["failure"])
    reason: str | None = Field(
        examples=["wrong_password"],
        description="Why the action was refused, or happened without a request.",
    )
    operation: str = Field(
        examples=["login"], description="Operation id of the route, or the name of the command."
    )
    actor_public_id: UUID | None = Field(description="The authenticated actor, or null.")
    account_public_id: UUID | None = Field(description="The account concerned.")
    session_public_id: UUID | None = Field(description="The session in which it happened.")
    ended_session_public_id: UUID | None = Field(
        description="The other session that it ended, if any."
    )
    address: str = Field(examples=["203.0.113.7"])
    user_agent: str | None = Field(examples=["Mozilla/5.0 (X11; Linux x86_64) Firefox/152.0"])
    request_id: str | None = Field(examples=["0b9f6d0e54c04e3a8c9a4a4b0a3a5c11"])
