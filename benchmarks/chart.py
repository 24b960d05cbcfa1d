"""Draw curves as SVG, readable on light and dark pages, with and without colours."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

WIDTH: Final = 760
HEIGHT: Final = 400
# The edges of the plot area.
LEFT: Final = 75
RIGHT: Final = 540
TOP: Final = 50
BOTTOM: Final = 340
MAX_STEPS: Final = 6
STYLE: Final = """
text { font: 13px sans-serif; fill: #24292f; stroke: none }
.title { font-size: 15px; font-weight: bold }
.page { fill: #ffffff }
.grid { stroke: #d0d7de }
.curve { fill: none; stroke-width: 2 }
.mark { fill: #ffffff; stroke-width: 2 }
.c0 { stroke: #0550ae } .c1 { stroke: #bc4c00 } .c2 { stroke: #1a7f37 } .c3 { stroke: #8250df }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .page, .mark { fill: #0d1117 }
  .grid { stroke: #30363d }
  .c0 { stroke: #79c0ff } .c1 { stroke: #ffa657 } .c2 { stroke: #7ee787 } .c3 { stroke: #d2a8ff }
}
"""
DASHES: Final = ("none", "9 4", "2 4", "12 4 2 4")

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Axis:
    """An axis; its name includes the unit. A logarithmic one has a step for each power of ten."""

    name: str
    is_logarithmic: bool = False

    def steps(self, values: Sequence[float]) -> list[float]:
        """Return round numbers that span all of the values."""
        if self.is_logarithmic:
            first = math.floor(math.log10(min(values)))
            last = max(math.ceil(math.log10(max(values))), first + 1)
            return [10.0**power for power in range(first, last + 1)]
        size = _round_size(max(values) / MAX_STEPS)
        return [size * number for number in range(math.ceil(max(values) / size) + 1)]

    def share(self, value: float, steps: Sequence[float]) -> float:
        """Return the position of a value between the first step (0) and the last one (1)."""
        place, first, last = (
            math.log10(each) if self.is_logarithmic else each
            for each in (value, steps[0], steps[-1])
        )
        return (place - first) / (last - first)


@dataclass(frozen=True)
class Chart:
    """A line chart. It has at most as many curves as there are dash patterns (`DASHES`)."""

    title: str
    x: Axis
    y: Axis
    curves: Mapping[str, Points]

    def __str__(self) -> str:
        x_steps = self.x.steps([x for points in self.curves.values() for x, _ in points])
        y_steps = self.y.steps([y for points in self.curves.values() for _, y in points])
        parts = [*self._frame(), *self._axes(x_steps, y_steps)]
        for number, (name, points) in enumerate(self.curves.items()):
            places = [
                (_across(self.x.share(x, x_steps)), _up(self.y.share(y, y_steps)))
                for x, y in points
            ]
            parts += [*_curve(number, places), *_legend(number, name)]
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">'
        return "\n".join([head, *parts, "</svg>", ""])

    def _frame(self) -> list[str]:
        middle = (LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2
        return [
            f"<title>{escape(self.title)}</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
            _text(LEFT, TOP - 22, self.title, look='class="title"'),
            _text(middle[0], BOTTOM + 45, self.x.name, look='text-anchor="middle"'),
            _text(-middle[1], 20, self.y.name, look='text-anchor="middle" transform="rotate(-90)"'),
        ]

    def _axes(self, x_steps: Sequence[float], y_steps: Sequence[float]) -> list[str]:
        parts = []
        for value in y_steps:
            y = _up(self.y.share(value, y_steps))
            parts.append(_line("grid", 0, [(LEFT, y), (RIGHT, y)]))
            parts.append(_text(LEFT - 8, y + 4, f"{value:,g}", look='text-anchor="end"'))
        for value in x_steps:
            x = _across(self.x.share(value, x_steps))
            parts.append(_line("grid", 0, [(x, TOP), (x, BOTTOM)]))
            parts.append(_text(x, BOTTOM + 20, f"{value:,.0f}", look='text-anchor="middle"'))
        return parts


def _round_size(least: float) -> float:
    """Round up to the next of 1, 2, 5, 10, 20 and so on."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= least)


def _across(share: float) -> float:
    return LEFT + share * (RIGHT - LEFT)


def _up(share: float) -> float:
    return BOTTOM - share * (BOTTOM - TOP)


def _curve(number: int, places: Points) -> list[str]:
    look = f'class="mark c{number}" r="3.5"'
    marks = [f'<circle {look} cx="{x:.1f}" cy="{y:.1f}"/>' for x, y in places]
    return [_line(f"curve c{number}", number, places), *marks]


def _legend(number: int, name: str) -> list[str]:
    x, y = RIGHT + 20, TOP + 8 + 24 * number
    line = _line(f"curve c{number}", number, [(x, y), (x + 36, y)])
    return [line, _text(x + 44, y + 4, name)]


def _line(style: str, dash: int, places: Points) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<polyline class="{style}" stroke-dasharray="{DASHES[dash]}" points="{points}"/>'


def _text(x: float, y: float, text: str, *, look: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {look}>{escape(text)}</text>'
