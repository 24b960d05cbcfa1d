"""Cut nodes of a syntax tree out of the source, with their commas and lines."""

import ast
import re
from typing import Final

Node = ast.expr | ast.stmt | ast.alias

_COMMA: Final = re.compile(rb"\s*,")
_SPACES: Final = re.compile(rb"[ \t]*")
_LINE_ENDS: Final = re.compile(rb"\n*")


class Cuts:
    """Positions to cut out, in bytes of the source. Nothing changes before `apply()`."""

    def __init__(self, source: str) -> None:
        self._data = source.encode()
        self._lines = [0, *(each.end() for each in re.finditer(rb"\n", self._data))]
        self._whole: list[tuple[int, int, bytes]] = []
        self._inline: list[tuple[int, int]] = []

    def statement(self, node: ast.stmt, replacement: str = "") -> None:
        """Cut a statement with its lines, or put another one in its place."""
        start, end = self._start(node), self._end(node)
        text = self._data[self._line_start(start) : start] + replacement.encode() + b"\n"
        self._whole.append(
            (self._line_start(start), self._line_end(end), text if replacement else b"")
        )

    def element(self, first: Node, last: Node | None = None) -> None:
        """Cut an element of a list, from its first to its last node, with its comma."""
        start, end = self._start(first), self._end(last or first)
        comma = _COMMA.match(self._data, end)
        end = comma.end() if comma else end
        line, line_end = self._line_start(start), self._line_end(end)
        rest = self._data[end:line_end].strip()
        if not self._data[line:start].strip() and rest[:1] in {b"", b"#"}:
            self._whole.append((line, line_end, b""))
        elif comma:
            self._inline.append((start, self._after(_SPACES, end)))
        else:
            self._inline.append((len(self._data[:start].rstrip().removesuffix(b",")), end))

    def inside(self, node: ast.expr) -> None:
        """Cut everything between the brackets of an expression."""
        self._inline.append((self._start(node) + 1, self._end(node) - 1))

    def apply(self) -> str:
        data = self._data
        for start, end, text in sorted(
            [*self._merged(), *((*each, b"") for each in self._inline)], reverse=True
        ):
            data = data[:start] + text + data[end:]
        return data.decode()

    def _merged(self) -> list[tuple[int, int, bytes]]:
        merged: list[tuple[int, int, bytes]] = []
        for start, end, text in sorted(self._whole):
            if merged and start <= merged[-1][1]:
                before = merged.pop()
                merged.append((before[0], max(end, before[1]), before[2] + text))
            else:
                merged.append((start, end, text))
        return [self._with_blank_lines(*each) for each in merged]

    def _with_blank_lines(self, start: int, end: int, text: bytes) -> tuple[int, int, bytes]:
        """Keep the longer one of the runs of blank lines before and after whole lines."""
        kept = self._data[:start].rstrip(b"\n")
        before = start - len(kept) - 1
        after = self._after(_LINE_ENDS, end) - end
        if text:
            return start, end, text
        if not kept:
            return 0, end + after, text
        if end + after == len(self._data):
            return start - before, len(self._data), text
        return start, end + min(before, after), text

    def _start(self, node: Node) -> int:
        return self._lines[node.lineno - 1] + node.col_offset

    def _end(self, node: Node) -> int:
        # The parser sets both.
        return self._lines[(node.end_lineno or 1) - 1] + (node.end_col_offset or 0)

    def _line_start(self, at: int) -> int:
        return self._data.rfind(b"\n", 0, at) + 1

    def _line_end(self, at: int) -> int:
        found = self._data.find(b"\n", at)
        return len(self._data) if found < 0 else found + 1

    def _after(self, pattern: re.Pattern[bytes], at: int) -> int:
        found = pattern.match(self._data, at)
        return found.end() if found else at
