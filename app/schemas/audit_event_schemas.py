from datetime import datetime
from uuid import UUID

from pydantic import Field

from app.core.pagination import ListQuery, sort_field
from app.models.audit_event import AuditAction, AuditOutcome
from app.schemas.base import Moment, ResponseSchema


class AuditEventListQuery(ListQuery):
    sort: str = sort_field("occurred_at", default="-occurred_at")
    action: AuditAction | None = None
    outcome: AuditOutcome | None = None
    actor: UUID | None = Field(None, description="Who did it: a user's public id.")
    account: UUID | None = Field(None, description="To whose account: a user's public id.")
    session: UUID | None = Field(
        None, description="In which session, or which one was ended: its public id."
    )
    since: Moment | None = Field(None, description="Not before this time, with its offset.")
    until: Moment | None = Field(None, description="Before this time, with its offset.")


class AuditEventResponse(ResponseSchema):
    """Ids are public ones, of what may be deleted by now."""

    public_id: UUID
    occurred_at: datetime
    action: str = Field(examples=["login"])
    outcome: str = Field(examples=["failure"])
    reason: str | None = Field(
        examples=["wrong_password"], description="Why it was refused, or done unasked."
    )
    operation: str = Field(
        examples=["login"], description="The operation id, or the command of the command line."
    )
    actor_public_id: UUID | None = Field(description="Who did it, if that is known for sure.")
    account_public_id: UUID | None = Field(description="To whose account.")
    session_public_id: UUID | None = Field(description="In which session.")
    ended_session_public_id: UUID | None = Field(
        description="Which session was ended from there, if one was."
    )
    address: str = Field(examples=["203.0.113.7"])
    user_agent: str | None = Field(examples=["Mozilla/5.0 (X11; Linux x86_64) Firefox/152.0"])
    request_id: str | None = Field(examples=["0b9f6d0e54c04e3a8c9a4a4b0a3a5c11"])
