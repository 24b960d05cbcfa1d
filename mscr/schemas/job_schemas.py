from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from mscr.models.job import MAX_NAME_LENGTH, JobState
from mscr.schemas.base import ResponseSchema
from mscr.schemas.list_schemas import ListQuery, sort_field

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH)]


class JobListQuery(ListQuery):
    sort: str = sort_field("due_at", default="due_at")
    state: JobState | None = None
    name: Name | None = Field(default=None, examples=["mscr.send_mail"])


class JobResponse(ResponseSchema):
    """A job, without its data, which are encrypted and may hold secrets."""

    public_id: UUID = Field(description="The deduplication id, as in the log and in mails.")
    name: str = Field(examples=["mscr.send_mail"])
    state: JobState
    attempts: int = Field(examples=[3])
    due_at: datetime = Field(description="The next attempt, or, while one runs, its latest end.")
    gives_up_at: datetime = Field(
        description="The time of the last attempt, or the next tick of a schedule."
    )
    fault: str | None = Field(
        examples=["ConnectionRefusedError"], description="The class of the last error."
    )
    dead_at: datetime | None = Field(description="When it was given up.")
    schedule: str | None = Field(
        examples=["mscr.cleanup-audit daily 03:00:00"],
        description="The schedule, if it runs at regular times.",
    )
    request_id: str | None = Field(
        examples=["0b9f6d0e54c04e3a8c9a4a4b0a3a5c11"], description="The request that added it."
    )
    trace_id: str | None = Field(
        examples=["4bf92f3577b34da6a3ce929d0e0e4736"], description="The trace of that request."
    )
