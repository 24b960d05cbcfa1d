"""The results of the rows of a bulk request or an import.

Each row succeeds or fails by itself. In an atomic request, all of them do together.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel

from mscr.core.exceptions import (
    APIError,
    DuplicateRowError,
    PreconditionRequiredError,
    RowsRefusedError,
    ValidationFailedError,
)
from mscr.http.preconditions import EntityTags, Preconditions
from mscr.http.problems import problem_body
from mscr.http.representation import Representation
from mscr.schemas.bulk_schemas import RefusedRow
from mscr.schemas.problem_schemas import MAX_FAULTS


class NamedRow(Protocol):
    """A row that names an existing object: `RowTarget` of the schemas."""

    public_id: Any
    if_match: str | None


@dataclass(frozen=True, slots=True)
class RowResult:
    index: int
    status: int
    public_id: str | None = None
    etag: str | None = None
    problem: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class BulkResult:
    rows: list[RowResult]

    @property
    def succeeded(self) -> int:
        return sum(row.problem is None for row in self.rows)

    @property
    def failed(self) -> int:
        return len(self.rows) - self.succeeded


@dataclass(frozen=True, slots=True)
class ImportResult:
    rows: int
    dry_run: bool


class RowLedger:
    """The results of the rows of one request, by position.

    `schema` is that of the response with a single object: entity tags are made from it.
    """

    def __init__(
        self,
        *,
        request_id: str,
        schema: type[BaseModel],
        atomic: bool = False,
        if_match_required: bool = False,
    ) -> None:
        self._request_id = request_id
        self._schema = schema
        self._atomic = atomic
        self._if_match_required = if_match_required
        self._results: dict[int, RowResult] = {}
        self._refusals: dict[int, APIError] = {}

    def accept(self, rows: Iterable[Any]) -> dict[int, Any]:
        """Return the valid rows by position, and refuse the others."""
        accepted: dict[int, Any] = {}
        # A use case may be retried from the start.
        self._results.clear()
        self._refusals.clear()
        for index, row in enumerate(rows):
            if isinstance(row, RefusedRow):
                error = ValidationFailedError()
                error.errors = row.errors
                self.refuse(index, error)
            else:
                accepted[index] = row
        return accepted

    def accept_named(self, rows: Iterable[Any]) -> dict[int, Any]:
        """Like `accept`, and refuse duplicates: rows with the public id of an earlier one."""
        accepted = self.accept(rows)
        first: dict[Any, int] = {}
        for index, row in accepted.items():
            if first.setdefault(row.public_id, index) != index:
                self.refuse(index, DuplicateRowError())
        return {index: accepted[index] for index in first.values()}

    def check(self, entity: Any, row: NamedRow) -> None:
        """Raise `PreconditionFailedError` or `PreconditionRequiredError`, as for one object."""
        if row.if_match is None and self._if_match_required:
            raise PreconditionRequiredError
        tags = None if row.if_match is None else EntityTags.parse(row.if_match)
        Preconditions(self._schema, if_match=tags).check(entity)

    def refuse(self, index: int, error: APIError) -> None:
        self._refusals[index] = error
        problem = problem_body(error, self._request_id)
        self._results[index] = RowResult(index, error.status, problem=problem)

    def note(self, index: int, status: int, entity: Any, *, gone: bool = False) -> None:
        """Record the success of a row. An object that is `gone` has no entity tag."""
        etag = None if gone else Representation(entity, self._schema).etag
        self._results[index] = RowResult(index, status, entity.public_id, etag)

    def settle(self) -> None:
        """Raise one error for all refused rows, if the request is atomic and there are any.

        It is `ValidationFailedError` if any row is invalid, else `RowsRefusedError`. Call this
        after all rows have been tried, and before the commit.
        """
        if self._atomic and self._refusals:
            invalid = any(isinstance(e, ValidationFailedError) for e in self._refusals.values())
            error = ValidationFailedError() if invalid else RowsRefusedError()
            raise _one_error(error, self._refusals)

    def result(self) -> BulkResult:
        return BulkResult([self._results[index] for index in sorted(self._results)])


def _one_error(error: APIError, refusals: Mapping[int, APIError]) -> APIError:
    """Return the error of the whole request, with the faults of its rows."""
    errors = [
        {**fault, "loc": ["body", "rows", index, *fault["loc"]]}
        for index, refusal in sorted(refusals.items())
        for fault in refusal.errors or [{"loc": [], "msg": refusal.detail, "type": refusal.code}]
    ]
    error.errors = errors[:MAX_FAULTS]
    return error
