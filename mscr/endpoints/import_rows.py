"""Parse and validate imported files: all rows are valid, or the whole file is refused.

Faults name their line, counted from 1, and never quote a value.
"""

from collections.abc import Collection
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from mscr.core.exceptions import ValidationFailedError
from mscr.endpoints.row_format import RowFormat, RowsUnreadableError, decode
from mscr.schemas.problem_schemas import MAX_FAULTS, field_problems
from mscr.schemas.validation import TEXTS

RowT = TypeVar("RowT", bound=BaseModel)

# All rows are validated first, and then written by one statement in one transaction.
MAX_IMPORT_ROWS: Final = 5000


class FileRefusedError(ValidationFailedError):
    code = "file_refused"
    title = "File refused"
    detail = "Nothing was imported: some lines are not valid."

    def __init__(self, faults: list[dict[str, Any]], *, lines: int) -> None:
        cause = f"{lines} of its lines {'is' if lines == 1 else 'are'} not valid"
        super().__init__(f"Nothing was imported: {cause if lines else 'there are no rows'}.")
        self.errors = faults[:MAX_FAULTS]


def read_rows(
    content: bytes, row_format: RowFormat, schema: type[RowT], *, ignoring: Collection[str] = ()
) -> list[RowT]:
    """Return the validated rows of a file, without the fields of `ignoring`.

    Warning: this is slow, so call it in a thread and not on the event loop. Raises
    `FileRefusedError` with the first `MAX_FAULTS` faults.
    """
    context = TEXTS if row_format is RowFormat.CSV else None
    reader = _Reader(schema, frozenset(ignoring) - schema.model_fields.keys(), context)
    try:
        for line in decode(content, row_format, columns={*schema.model_fields, *ignoring}):
            reader.read(line.number, line.values)
    except RowsUnreadableError as error:
        reader.refuse(error.line, [error.fault()])
    if not reader.rows and not reader.faulty:
        nothing = RowsUnreadableError(1, "There should be rows in the file", "no_rows")
        raise FileRefusedError([_located(nothing.line, nothing.fault())], lines=0)
    if reader.faulty:
        raise FileRefusedError(reader.faults, lines=reader.faulty)
    return reader.rows


class _Reader:
    def __init__(
        self, schema: type[Any], ignored: frozenset[str], context: dict[str, bool] | None
    ) -> None:
        self._schema = schema
        self._ignored = ignored
        self._context = context
        self.rows: list[Any] = []
        self.faults: list[dict[str, Any]] = []
        self.faulty = 0

    def read(self, number: int, values: dict[str, Any] | RowsUnreadableError) -> None:
        if isinstance(values, RowsUnreadableError):
            self.refuse(number, [values.fault()])
            return
        if len(self.rows) + self.faulty == MAX_IMPORT_ROWS:
            message = f"There should be at most {MAX_IMPORT_ROWS} rows in a file"
            raise RowsUnreadableError(number, message, "too_many_rows")
        kept = {name: value for name, value in values.items() if name not in self._ignored}
        try:
            self.rows.append(self._schema.model_validate(kept, context=self._context))
        except ValidationError as error:
            faults = error.errors(include_url=False, include_context=False, include_input=False)
            self.refuse(number, field_problems(faults))

    def refuse(self, number: int, faults: list[dict[str, Any]]) -> None:
        self.faulty += 1
        if len(self.faults) < MAX_FAULTS:
            self.faults += [_located(number, fault) for fault in faults]


def _located(number: int, fault: dict[str, Any]) -> dict[str, Any]:
    return {**fault, "loc": ["body", number, *fault["loc"]]}
