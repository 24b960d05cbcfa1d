"""Requests and responses of bulk routes, for the rows of any resource."""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from mscr.schemas.base import RequestSchema, ResponseSchema
from mscr.schemas.problem_schemas import Problem, field_problems

RowT = TypeVar("RowT", bound=BaseModel)

# All rows are locked at once, and one response has the results of all.
MAX_BULK_ROWS: Final = 100


# Faults per row, so that the size of a response is bounded.
MAX_ROW_FAULTS: Final = 10


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """The placeholder of a row that does not fit its schema. `errors` are as in a 422."""

    errors: list[dict[str, Any]]


def _leniently(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """Return a `RefusedRow` for an invalid object, so that other rows are still processed.

    A value that is no object is no row, and makes the request invalid.
    """
    try:
        return validate(value)
    except ValidationError as error:
        if not isinstance(value, dict):
            raise
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        reported = field_problems(faults[:MAX_ROW_FAULTS])
        return RefusedRow(
            [{**fault, "loc": [_text(part) for part in fault["loc"]]} for fault in reported]
        )


def _text(part: str | int) -> str | int:
    """Replace lone surrogates of an unknown field's name, which no response can encode."""
    return part.encode(errors="replace").decode() if isinstance(part, str) else part


class RowTarget(RequestSchema):
    """A row that names an existing object. For deletions, this is the whole row."""

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
    ) = Field(
        default=None,
        description="Proceed only if the current version has this ETag; `*`: any version.",
    )


class BulkRequest(RequestSchema, Generic[RowT]):
    """The rows of a request, each validated by itself: invalid ones become a `RefusedRow`.

    The documentation shows the rows' own schema.
    """

    rows: list[Annotated[RowT, WrapValidator(_leniently)]] = Field(
        min_length=1, max_length=MAX_BULK_ROWS
    )

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """Return ItemCreateBulk for `BulkRequest[ItemCreate]`: generated types are named so."""
        return f"{params[0].__name__}Bulk"


class RowResultResponse(ResponseSchema):
    index: int = Field(description="Index of the row in the request, from 0.", examples=[0])
    status: int = Field(
        description="Status that a request for this row alone would get.",
        examples=[201],
    )
    public_id: UUID | None = Field(
        description="Public id of the object that was created, changed or deleted."
    )
    etag: str | None = Field(
        description="ETag of the version that the row created.",
        examples=['"5bCEVDLdSbiDh1nzF4oDyw"'],
    )
    problem: Problem | None = Field(description="Why the row was refused; null if it was not.")


class BulkResponse(ResponseSchema):
    """One result for each row, in the order in which they were sent."""

    succeeded: int = Field(examples=[1])
    failed: int = Field(examples=[0])
    rows: list[RowResultResponse]


class ImportResponse(ResponseSchema):
    rows: int = Field(description="Number of rows that were created, or would be.", examples=[2])
    dry_run: bool = Field(
        description="Whether this was a dry run, which writes nothing.", examples=[False]
    )
