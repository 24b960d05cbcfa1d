"""Many rows in one request: what becomes of each of them.

Each row succeeds or fails by itself, or, if the request is atomic, all of them do.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from app.core.exceptions import (
    APIError,
    DuplicateRowError,
    PreconditionRequiredError,
    RowsRefusedError,
    ValidationFailedError,
)
from app.core.preconditions import EntityTags, Preconditions
from app.core.problems import MAX_FAULTS, problem_body

# Locks are held for all of them, and one answer has the results of all.
MAX_BULK_ROWS: Final = 100


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """What stands in the place of a row that does not fit its schema. `errors` are as in a 422."""

    errors: list[dict[str, Any]]


class NamedRow(Protocol):
    """A row that is about something that is there: `RowTarget` of the schemas."""

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
    """What became of the rows of one request, by their places in it.

    `tag_of` gives the entity tag of what a row is about, as the caller is shown it.
    """

    def __init__(
        self,
        *,
        request_id: str,
        tag_of: Callable[[Any], str],
        atomic: bool = False,
        if_match_required: bool = False,
    ) -> None:
        self._request_id = request_id
        self._tag_of = tag_of
        self._atomic = atomic
        self._if_match_required = if_match_required
        self._results: dict[int, RowResult] = {}
        self._refusals: dict[int, APIError] = {}

    def accept(self, rows: Iterable[Any]) -> dict[int, Any]:
        """The rows that fit their schema, by their places; the others are refused."""
        accepted: dict[int, Any] = {}
        # It may be done again, from the start.
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
        """Like `accept`, and each names another object: what was named before is refused."""
        accepted = self.accept(rows)
        first: dict[Any, int] = {}
        for index, row in accepted.items():
            if first.setdefault(row.public_id, index) != index:
                self.refuse(index, DuplicateRowError())
        return {index: accepted[index] for index in first.values()}

    def check(self, entity: Any, row: NamedRow) -> None:
        """Raises `PreconditionFailedError` and `PreconditionRequiredError`, as for one object."""
        if row.if_match is None and self._if_match_required:
            raise PreconditionRequiredError
        tags = None if row.if_match is None else EntityTags.parse(row.if_match)
        Preconditions(self._tag_of, if_match=tags).check(entity)

    def refuse(self, index: int, error: APIError) -> None:
        self._refusals[index] = error
        problem = problem_body(error, self._request_id)
        self._results[index] = RowResult(index, error.status, problem=problem)

    def note(self, index: int, status: int, entity: Any, *, gone: bool = False) -> None:
        """The row has been done. What is `gone` has no entity tag any more."""
        etag = None if gone else self._tag_of(entity)
        self._results[index] = RowResult(index, status, entity.public_id, etag)

    def settle(self) -> None:
        """If the request is atomic and a row was refused, raises an error that tells all of them.

        `ValidationFailedError` if a row does not fit its schema, else `RowsRefusedError`. Call it
        when every row has been tried, and before the commit.
        """
        if self._atomic and self._refusals:
            invalid = any(isinstance(e, ValidationFailedError) for e in self._refusals.values())
            error = ValidationFailedError() if invalid else RowsRefusedError()
            raise _one_error(error, self._refusals)

    def result(self) -> BulkResult:
        return BulkResult([self._results[index] for index in sorted(self._results)])


def _one_error(error: APIError, refusals: Mapping[int, APIError]) -> APIError:
    """The error of the whole request, which tells those of its rows."""
    errors = [
        {**fault, "loc": ["body", "rows", index, *fault["loc"]]}
        for index, refusal in sorted(refusals.items())
        for fault in refusal.errors or [{"loc": [], "msg": refusal.detail, "type": refusal.code}]
    ]
    error.errors = errors[:MAX_FAULTS]
    return error
