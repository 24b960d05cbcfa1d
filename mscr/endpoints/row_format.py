"""Rows as text: CSV (RFC 4180) and NDJSON, in both directions.

What is written is read again as it was, and no spreadsheet takes a cell of it for a formula.
"""

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum as PyEnum
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import from_json

from app.core.problems import MAX_NAME_LENGTH

# A formula would be run by the spreadsheet of whoever opens the file, with their rights (OWASP CSV
# injection). After one quote it is text. A cell that begins with quotes itself, and an empty text,
# which a cell without one is not, get one more: so that reading takes off what writing put there.
_MARKED: Final = re.compile(r"'*(?:[=+\-@\t\r\n\uff0b\uff0d\uff1d\uff20]|\Z)")
_MARK: Final = "'"

_BOM: Final = b"\xef\xbb\xbf"
_QUOTED: Final = re.compile(r'"((?:[^"]++|"")*+)"')
_PLAIN: Final = re.compile(r'[^",\r\n]*+')
_END: Final = re.compile(r",|\r\n|\n|\r|\Z")
_LINE_BREAK: Final = re.compile(r"\r\n|\n|\r")
# With which spreadsheets of other languages part cells, and call that CSV.
_OTHER_SEPARATORS: Final = re.compile(r"[;\t|]")


class RowFormat(str, PyEnum):
    NDJSON = "ndjson"
    CSV = "csv"

    @property
    def media_type(self) -> str:
        return "text/csv" if self is RowFormat.CSV else "application/x-ndjson"


class RowsUnreadableError(ValueError):
    """The text is not of its format. What it says has nothing of the text but a column's name."""

    def __init__(self, line: int, message: str, kind: str, *, column: str | None = None) -> None:
        super().__init__(message)
        self.line = line
        self._kind = kind
        self._column = column

    def fault(self) -> dict[str, Any]:
        """As the errors of a 422, with the column as the place."""
        loc = [] if self._column is None else [self._column[:MAX_NAME_LENGTH]]
        return {"loc": loc, "msg": str(self), "type": self._kind}


@dataclass(frozen=True, slots=True)
class Line:
    """A row, or what is wrong with its text; the file's first line is 1."""

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
    # Each cell in quotes, so that one with a semicolon in it stays one cell where that parts cells.
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if not isinstance(value, str):
        return "" if value is None else str(value)
    return f"{_MARK}{value}" if _MARKED.match(value) else value


def decode(content: bytes, row_format: RowFormat, *, columns: Collection[str]) -> Iterator[Line]:
    """The rows of a file. Raises `RowsUnreadableError` where it cannot be read any further.

    A CSV file's header may have these columns. What is asked of NDJSON's fields is the schema's
    affair, as each line has its own.
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
                number, "This column is there twice", "csv_columns", column=name
            )
        if name not in columns:
            message = "There is no such column"
            if len(head) == 1 and _OTHER_SEPARATORS.search(name):
                message += ": cells are parted by commas"
            raise RowsUnreadableError(number, message, "csv_columns", column=name)
    for number, cells in records:
        yield Line(number, _named(number, head, cells))


def _named(
    number: int, head: Sequence[str], cells: Sequence[str]
) -> dict[str, str] | RowsUnreadableError:
    if len(cells) != len(head):
        message = f"The line should have as many cells as there are columns: {len(head)}"
        return RowsUnreadableError(number, message, "csv_cells")
    # What an empty cell stands for is a value that is not sent.
    return {name: _value(cell) for name, cell in zip(head, cells, strict=True) if cell}


def _value(cell: str) -> str:
    return cell[1:] if cell.startswith(_MARK) and _MARKED.match(cell) else cell


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each record, and the number of its first line.

    The csv module lets quotes pass that are not where RFC 4180 has them, and then reads on.
    """
    position, number, first, cells = 0, 1, 1, list[str]()
    while position < len(text) or cells:
        quoted = _QUOTED.match(text, position)
        found = quoted or _PLAIN.match(text, position)
        assert found is not None  # noqa: S101  # the second one matches anything, or nothing
        cells.append(quoted[1].replace('""', '"') if quoted else found[0])
        number += len(_LINE_BREAK.findall(found[0]))
        end = _END.match(text, found.end())
        if end is None:
            is_open = quoted is None and text.startswith('"', position)
            message = "This quote is never closed" if is_open else "A quote is where none may be"
            raise RowsUnreadableError(number, message, "csv_quote")
        position = end.end()
        if end[0] != ",":
            yield first, cells
            number += 1
            first, cells = number, []
        elif position == len(text):
            # After the last comma there is one more, with nothing in it.
            yield first, [*cells, ""]
            return
