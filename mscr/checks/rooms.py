"""Check the dependencies between the rooms of both houses: `make check` runs this.

The application and the kit are two houses with the same rooms (packages). import-linter checks
modules. This check counts the public names that a room imports from another one, anywhere in a
module, and the arrows between rooms of a house that point up the layers.

`--template` also checks the template itself: the size of its application, and the picture of the
houses. `--write` draws the picture.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mscr.checks.houses import KIT, KIT_LAYERS, Arrow, Houses
from mscr.checks.rooms_picture import draw, rooms_by_importer
from mscr.project import Project

PICTURE: Final = "docs/images/rooms.svg"


@dataclass(frozen=True)
class Limits:
    """Maximums for a house. Lower a limit when its number falls; never raise one."""

    arrows_up: int
    cycles: int


# Models may refer to each other.
LIMITS_OF_APP: Final = Limits(arrows_up=0, cycles=1)
LIMITS_OF_KIT: Final = Limits(arrows_up=2, cycles=0)
MAX_LINES_OF_APP: Final = 2_000
MAX_LINES_OF_A_FILE: Final = 300


def find_faults(houses: Houses) -> list[str]:
    """Return a line for each limit that is exceeded."""
    arrows = houses.arrows()
    return [
        *_faults_of_rooms(houses),
        *(fault for house in houses.names for fault in _faults_of_house(houses, house, arrows)),
        *_faults_of_arrows(arrows),
    ]


def find_faults_of_size(houses: Houses) -> list[str]:
    """Return a line for each exceeded limit that applies to the template only."""
    return list(_faults_of_lines(houses.package, houses.lines_of_files(houses.package)))


def draw_picture(houses: Houses) -> str:
    rooms = {houses.room_of(module) for module in houses.files}
    arrows = [(arrow.source, arrow.target) for arrow in houses.arrows()]
    return draw(houses.package, rooms, rooms_by_importer(arrows))


def _faults_of_rooms(houses: Houses) -> Iterator[str]:
    # The application may have additional rooms, whose imports have no order.
    rooms = {room for room in map(houses.room_of, houses.files) if room.startswith(f"{KIT}.")}
    for room in sorted(rooms - {f"{KIT}.{room}" for room in KIT_LAYERS}):
        yield f"unknown room {room}: add it to KIT_LAYERS of mscr/checks/houses.py"


def _faults_of_house(houses: Houses, house: str, arrows: Sequence[Arrow]) -> Iterator[str]:
    limits = LIMITS_OF_KIT if house == KIT else LIMITS_OF_APP
    up = [arrow for arrow in arrows if arrow.points_up and arrow.house == house]
    if len(up) > limits.arrows_up:
        yield f"{house}: {len(up)} arrows point up, but at most {limits.arrows_up} may"
        yield from (f"    {arrow.describe()}" for arrow in up)
    cycles = houses.cycles(house)
    if len(cycles) > limits.cycles:
        yield f"{house}: {len(cycles)} cycles of imports, but at most {limits.cycles} are allowed"
        yield from (f"    {', '.join(sorted(cycle))}" for cycle in cycles)


def _faults_of_arrows(arrows: Sequence[Arrow]) -> Iterator[str]:
    for arrow in arrows:
        if arrow.house == KIT and not arrow.is_within:
            yield f"the kit imports the app: {arrow.describe()}"
        private = sorted({each.name for each in arrow.imports if each.name.startswith("_")})
        if private:
            yield f"{arrow.source} imports private names of {arrow.target}: {', '.join(private)}"


def _faults_of_lines(package: str, lines: Mapping[str, int]) -> Iterator[str]:
    if sum(lines.values()) > MAX_LINES_OF_APP:
        yield f"{package} has {sum(lines.values())} lines, but may have {MAX_LINES_OF_APP} at most"
    for module, count in lines.items():
        if count > MAX_LINES_OF_A_FILE:
            yield f"{module} has {count} lines, but at most {MAX_LINES_OF_A_FILE} are allowed"


def figures(houses: Houses) -> Iterator[str]:
    """Return the numbers that have limits, in one line per house."""
    arrows = houses.arrows()
    for house in houses.names:
        own = [arrow for arrow in arrows if arrow.house == house]
        within = [arrow for arrow in own if arrow.is_within]
        up = [arrow for arrow in within if arrow.points_up]
        lines = houses.lines_of_files(house)
        yield (
            f"{house}: {sum(lines.values())} lines in {len(lines)} files, at most "
            f"{max(lines.values(), default=0)}; {len(within)} arrows between its rooms with "
            f"{sum(arrow.names for arrow in within)} names, {len(up)} of them up; "
            f"{len(own) - len(within)} arrows to the other house with "
            f"{sum(arrow.names for arrow in own) - sum(arrow.names for arrow in within)} names; "
            f"{len(houses.cycles(house))} cycles"
        )
        yield from (f"    up, as permitted: {arrow.describe()}" for arrow in up)


def main(project: Project, arguments: Sequence[str]) -> None:
    """Check the rooms, or with `--write` draw their picture."""
    picture = project.root / PICTURE
    houses = Houses(project.root, project.package)
    for line in figures(houses):
        print(line)  # noqa: T201  # a command
    faults = find_faults(houses)
    if "--write" in arguments:
        picture.write_text(draw_picture(houses), encoding="utf-8")
    if "--template" in arguments:
        faults += find_faults_of_size(houses)
        if draw_picture(houses) != picture.read_text(encoding="utf-8"):
            faults.append("the picture is out of date; draw it with python -m checks.rooms --write")
    if faults:
        sys.exit("\n".join(faults))
