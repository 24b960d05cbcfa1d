"""Reports of benchmarks: figures in plain-text tables."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

GAP = "  "


@dataclass(frozen=True)
class Report:
    """The result of a workload. `broken` lists broken promises; times and speeds are no promises.

    `results` is written into the file of results.
    """

    title: str
    tables: Sequence[str]
    broken: Sequence[str] = ()
    results: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "\n\n".join([self.title, *self.tables, *(f"BROKEN: {each}" for each in self.broken)])


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that this share of them does not exceed, or NaN without values."""
    if not values:
        return math.nan
    return sorted(values)[math.ceil(share * len(values)) - 1]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table with headings: the first column left-aligned, the others right-aligned."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_line(cells, widths) for cells in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return GAP.join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)])
