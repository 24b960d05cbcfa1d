"""Requests about many rows, and their answers, for the rows of any resource."""

from typing import Annotated, Any, Final, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from app.core.bulk import MAX_BULK_ROWS, RefusedRow
from app.core.problems import Problem, field_problems
from app.schemas.base import RequestSchema, ResponseSchema

RowT = TypeVar("RowT", bound=BaseModel)

# Of each row, so that an answer about all of them has a bound.
MAX_ROW_FAULTS: Final = 10


def _leniently(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """An object that does not fit keeps no other from being done; what is no object is no row."""
    try:
        return validate(value)
    except ValidationError as error:
        if not isinstance(value, dict):
            raise
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        told = field_problems(faults[:MAX_ROW_FAULTS])
        return RefusedRow(
            [{**fault, "loc": [_text(part) for part in fault["loc"]]} for fault in told]
        )


def _text(part: str | int) -> str | int:
    """The name of an unknown field may be a lone surrogate, which no answer can be written with."""
    return part.encode(errors="replace").decode() if isinstance(part, str) else part


class RowTarget(RequestSchema):
    """A row about an object that is there; for deletions, it is all of the row."""

    public_id: UUID
    if_match: (
        Annotated[
            str,
            Field(
                pattern=r'^(\*|(W/)?"[!#-~]*")$',
                max_length=100,
                examples=['"5bCEVDLdSbiDh1nzF4oDyw"'],
            ),
        ]
        | None
    ) = Field(None, description="Do it only to the version with this ETag; `*`: to any.")


class BulkRequest(RequestSchema, Generic[RowT]):
    """Each row is validated by itself: `rows` has a `RefusedRow` in place of one that is not valid.

    The documentation shows the rows' own schema.
    """

    rows: list[Annotated[RowT, WrapValidator(_leniently)]] = Field(
        min_length=1, max_length=MAX_BULK_ROWS
    )

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """Of `BulkRequest[ItemCreate]`: ItemCreateBulk, as generated types are called."""
        return f"{params[0].__name__}Bulk"


class RowResultResponse(ResponseSchema):
    index: int = Field(description="The row's place in the request, from 0.", examples=[0])
    status: int = Field(
        description="What a request for this row alone would have been answered with.",
        examples=[201],
    )
    public_id: UUID | None = Field(description="Of what was created, changed or deleted.")
    etag: str | None = Field(
        description="Of the version that the row made.", examples=['"5bCEVDLdSbiDh1nzF4oDyw"']
    )
    problem: Problem | None = Field(description="Why the row was not done; null if it was.")


class BulkResponse(ResponseSchema):
    """One result for each row, in the order in which they were sent."""

    succeeded: int = Field(examples=[1])
    failed: int = Field(examples=[0])
    rows: list[RowResultResponse]


class ImportResponse(ResponseSchema):
    rows: int = Field(description="How many were created, or would be.", examples=[2])
    dry_run: bool = Field(description="Whether nothing was written.", examples=[False])
