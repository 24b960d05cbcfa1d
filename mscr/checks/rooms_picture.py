"""Draw the two houses as SVG: their rooms, the imports of each, and the path of a request."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Final

from mscr.checks.houses import KIT

# The purpose of each room. The picture shows the rooms in this order.
ROOMS: Final[Mapping[str, str]] = {
    "cli": "the commands of cli.py",
    "scaffold": "changes of the project's own files",
    "server": "the HTTP server: limits, draining",
    "main": "assembles the application",
    "http": "middleware, errors, OpenAPI, parameters",
    "routers": "input, one service call, output",
    "endpoints": "building blocks of routes",
    "schemas": "requests and responses",
    "services": "rules and transactions",
    "repositories": "queries, by name",
    "queries": "statements: prepared, paged, filtered",
    "models": "tables",
    "db": "engines, sessions, pools",
    "jobs": "work after a commit: outbox, runner",
    "mail": "composition and delivery of mails",
    "core": "configuration, security, errors, logging",
    "connections": "addresses of servers, and diagnosis",
    "checks": "checks that make check runs",
    "testing": "servers, clients and assertions for tests",
}
# Stands for the application's house. Its package may have any name.
APP: Final = "app"
# The path of a request: each room with its house.
PATH: Final = (
    (KIT, "server"),
    (KIT, "http"),
    (APP, "routers"),
    (APP, "services"),
    (APP, "repositories"),
    (KIT, "repositories"),
    (KIT, "queries"),
    (KIT, "db"),
)
WIDTH: Final = 1080
BOX: Final = 480
HEIGHT: Final = 58
STEP: Final = 70
TOP: Final = 92
LEFT: Final = {APP: 20, KIT: WIDTH - 20 - BOX}
# Where the path of a request touches a box: in the middle between the houses.
EDGE: Final = {APP: LEFT[APP] + BOX, KIT: LEFT[KIT]}
STYLE: Final = """
text { font: 13px sans-serif; fill: #24292f }
.page { fill: #ffffff }
.title { font-size: 16px; font-weight: bold }
.room { font-size: 14px; font-weight: bold }
.imports { font-size: 11px; fill: #57606a }
.app { fill: #ddf4ff; stroke: #0550ae }
.mscr { fill: #f6f8fa; stroke: #57606a }
.path { fill: none; stroke: #bc4c00; stroke-width: 2.5 }
.step { fill: #bc4c00 }
.number { fill: #ffffff; font-weight: bold; text-anchor: middle }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .page { fill: #0d1117 }
  .imports { fill: #9198a1 }
  .app { fill: #0c2d4d; stroke: #79c0ff }
  .mscr { fill: #161b22; stroke: #9198a1 }
}
"""

# The rooms that each room imports from, as house.room.
Imports = Mapping[str, set[str]]


def draw(package: str, rooms: set[str], imports: Imports) -> str:
    """Return the picture of these rooms as SVG text."""
    return _Picture(package, rooms, imports).draw()


def rooms_by_importer(pairs: Sequence[tuple[str, str]]) -> Imports:
    found: dict[str, set[str]] = defaultdict(set)
    for source, target in pairs:
        found[source].add(target)
    return found


class _Picture:
    def __init__(self, package: str, rooms: set[str], imports: Imports) -> None:
        self._names = {APP: package, KIT: KIT}
        self._rooms = rooms
        self._imports = imports
        self._rows = [name for name in ROOMS if {f"{package}.{name}", f"{KIT}.{name}"} & rooms]

    def draw(self) -> str:
        self._require_path()
        height = TOP + len(self._rows) * STEP + 8
        package = self._names[APP]
        parts = [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
                f'role="img" aria-label="The rooms of {package}/ and {KIT}/, and the path of a '
                'request through them">'
            ),
            f"<style>{STYLE}</style>",
            f'<rect class="page" width="{WIDTH}" height="{height}"/>',
            _text(LEFT[APP], 32, f"{package}/ is yours", "title"),
            _text(LEFT[KIT], 32, f"{KIT}/ is the kit: replaced by each release", "title"),
            _text(LEFT[APP], 54, f"{package} imports {KIT}, never the reverse.", "imports"),
            _text(LEFT[KIT], 54, f"1 to {len(PATH)}: the path of a request, and back.", "imports"),
        ]
        for row, name in enumerate(self._rows):
            for house in self._names:
                if self._full_name(house, name) in self._rooms:
                    parts += self._box(house, name, TOP + row * STEP)
        parts += self._path()
        return "\n".join([*parts, "</svg>", ""])

    def _require_path(self) -> None:
        for step, next_step in pairwise(PATH):
            one, other = self._full_name(*step), self._full_name(*next_step)
            if other not in self._imports[one] and one not in self._imports[other]:
                raise ValueError(f"the path of a request has no import between {one} and {other}")

    def _full_name(self, house: str, room: str) -> str:
        return f"{self._names[house]}.{room}"

    def _box(self, house: str, name: str, top: int) -> Iterator[str]:
        left = LEFT[house]
        yield f'<rect class="{house}" x="{left}" y="{top}" width="{BOX}" height="{HEIGHT}" rx="6"/>'
        yield _text(left + 14, top + 18, f"{name}: {ROOMS[name]}", "room")
        targets = self._imports[self._full_name(house, name)]
        lines = [
            f"{package}: {', '.join(names)}"
            for package in self._names.values()
            if (names := [each for each in ROOMS if f"{package}.{each}" in targets])
        ]
        for line, text in enumerate(lines):
            yield _text(left + 14, top + 35 + 15 * line, text, "imports")

    def _path(self) -> Iterator[str]:
        places = [
            (EDGE[house], TOP + self._rows.index(name) * STEP + HEIGHT // 2) for house, name in PATH
        ]
        yield f'<polyline class="path" points="{" ".join(f"{x},{y}" for x, y in places)}"/>'
        for number, (x, y) in enumerate(places, start=1):
            yield f'<circle class="step" cx="{x}" cy="{y}" r="11"/>'
            yield _text(x, y + 5, str(number), "number")


def _text(x: int, y: int, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(text)}</text>'
