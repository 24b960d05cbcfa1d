"""Write and read rows as text: CSV (RFC 4180) and NDJSON.

Reading returns exactly what was written, and no spreadsheet takes a cell for a formula.
"""

import csv
import io
import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum as PyEnum
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import from_json

from mscr.schemas.problem_schemas import MAX_NAME_LENGTH

# A spreadsheet would run a formula with the rights of the person who opens the file (OWASP CSV
# injection). A quote before it makes it text. Texts that begin with quotes, and empty texts (an
# empty cell means null), get a quote too, so that reading removes exactly what writing added.
_MARKED: Final = re.compile(r"'*(?:[=+\-@\t\r\n\uff0b\uff0d\uff1d\uff20]|\Z)")
_MARK: Final = "'"

_BOM: Final = b"\xef\xbb\xbf"
_QUOTED: Final = re.compile(r'"((?:[^"]++|"")*+)"')
_PLAIN: Final = re.compile(r'[^",\r\n]*+')
_END: Final = re.compile(r",|\r\n|\n|\r|\Z")
_LINE_BREAK: Final = re.compile(r"\r\n|\n|\r")
# Spreadsheets in other languages separate cells with these, and still call the file CSV.
_OTHER_SEPARATORS: Final = re.compile(r"[;\t|]")


class RowFormat(str, PyEnum):
    NDJSON = "ndjson"
    CSV = "csv"

    @property
    def media_type(self) -> str:
        return "text/csv" if self is RowFormat.CSV else "application/x-ndjson"


class RowsUnreadableError(ValueError):
    """The text is not in its format. The message quotes nothing of it but a column's name."""

    def __init__(self, line: int, message: str, kind: str, *, column: str | None = None) -> None:
        super().__init__(message)
        self.line = line
        self._kind = kind
        self._column = column

    def fault(self) -> dict[str, Any]:
        """Return the fault as one of the errors of a 422, with the column as its location."""
        loc = [] if self._column is None else [self._column[:MAX_NAME_LENGTH]]
        return {"loc": loc, "msg": str(self), "type": self._kind}


@dataclass(frozen=True, slots=True)
class Line:
    """A row, or the fault of its text. The file's first line is 1."""

    number: int
    values: dict[str, Any] | RowsUnreadableError


def encode_head(schema: type[BaseModel], row_format: RowFormat) -> bytes:
    return _csv([schema.model_fields]) if row_format is RowFormat.CSV else b""


def encode(rows: Iterable[BaseModel], row_format: RowFormat) -> bytes:
    if row_format is RowFormat.CSV:
        return _csv([_cell(v) for v in row.model_dump(mode="json").values()] for row in rows)
    return "".join(f"{row.model_dump_json()}\n" for row in rows).encode()


def _csv(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO(newline="")
    # Quote every cell, so that no semicolon splits one where semicolons separate cells.
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if not isinstance(value, str):
        return "" if value is None else json.dumps(value, ensure_ascii=False)
    return f"{_MARK}{value}" if _MARKED.match(value) else value


def decode(content: bytes, row_format: RowFormat, *, columns: Collection[str]) -> Iterator[Line]:
    """Yield the rows of a file. Raises `RowsUnreadableError` where it cannot be read any further.

    The header of a CSV file may have these columns. The fields of NDJSON are left to the schema,
    because each line has its own.
    """
    content = content.removeprefix(_BOM)
    if row_format is RowFormat.NDJSON:
        return _ndjson_lines(content)
    try:
        return _csv_lines(content.decode(), columns)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RowsUnreadableError(line, "The file is not in UTF-8", "encoding") from None


def _ndjson_lines(content: bytes) -> Iterator[Line]:
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            yield Line(number, _object(number, line))


def _object(number: int, line: bytes) -> dict[str, Any] | RowsUnreadableError:
    try:
        value = from_json(line, allow_inf_nan=False)
    except ValueError:
        return RowsUnreadableError(number, "The line is not valid JSON", "json_invalid")
    if not isinstance(value, dict):
        return RowsUnreadableError(number, "The line should be a JSON object", "json_object")
    return value


def _csv_lines(text: str, columns: Collection[str]) -> Iterator[Line]:
    records = ((number, cells) for number, cells in _records(text) if cells != [""])
    number, head = next(records, (1, []))
    for place, name in enumerate(head):
        if name in head[:place]:
            raise RowsUnreadableError(
                number, "This column occurs twice", "csv_columns", column=name
            )
        if name not in columns:
            message = "There is no such column"
            if len(head) == 1 and _OTHER_SEPARATORS.search(name):
                message += ": cells are separated by commas"
            raise RowsUnreadableError(number, message, "csv_columns", column=name)
    for number, cells in records:
        yield Line(number, _named(number, head, cells))


def _named(
    number: int, head: Sequence[str], cells: Sequence[str]
) -> dict[str, str] | RowsUnreadableError:
    if len(cells) != len(head):
        message = f"The line should have as many cells as there are columns: {len(head)}"
        return RowsUnreadableError(number, message, "csv_cells")
    # An empty cell means that the value is not sent.
    return {name: _value(cell) for name, cell in zip(head, cells, strict=True) if cell}


def _value(cell: str) -> str:
    return cell[1:] if cell.startswith(_MARK) and _MARKED.match(cell) else cell


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each record's first line, and its cells.

    The csv module is too lenient: it accepts quotes where RFC 4180 does not, and reads on.
    """
    position, number, first, cells = 0, 1, 1, list[str]()
    while position < len(text) or cells:
        quoted = _QUOTED.match(text, position)
        found = quoted or _PLAIN.match(text, position)
        assert found is not None  # noqa: S101  # `_PLAIN` matches an empty text too
        cells.append(quoted[1].replace('""', '"') if quoted else found[0])
        number += len(_LINE_BREAK.findall(found[0]))
        end = _END.match(text, found.end())
        if end is None:
            is_open = quoted is None and text.startswith('"', position)
            message = "This quote is never closed" if is_open else "A quote is not allowed here"
            raise RowsUnreadableError(number, message, "csv_quote")
        position = end.end()
        if end[0] != ",":
            yield first, cells
            number += 1
            first, cells = number, []
        elif position == len(text):
            # After a trailing comma there is one more cell, which is empty.
            yield first, [*cells, ""]
            return
