"""The modules of an application and of the kit, and the imports between their rooms."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

KIT: Final = "mscr"
# The name for modules outside of all rooms: main.py, application.py.
MAIN: Final = "main"
# The folder of the kit's own tests, which are in no room.
TESTS: Final = "tests"
# Stands for the name if a whole module is imported.
WHOLE: Final = "*"
# The rooms of each house from top to bottom: a room imports from those below it.
APP_LAYERS: Final = (
    "cli",
    "main",
    "routers",
    "db",
    "services",
    "schemas",
    "repositories",
    "mail",
    "core",
    "models",
)
KIT_LAYERS: Final = (
    "testing",
    "checks",
    "cli",
    "scaffold",
    "main",
    "routers",
    "endpoints",
    "http",
    "services",
    "jobs",
    "repositories",
    "queries",
    "schemas",
    "db",
    "models",
    "mail",
    "core",
    "connections",
    "server",
)
# Modules of an application outside of the room that they belong to: the aliases and guards of
# routes, which import-linter allows only routers to import, and the project's description for
# commands.
PART_OF: Final = {"core.dependencies": "routers", "project": "cli"}


@dataclass(frozen=True)
class Import:
    """One name that a module imports from another module of either house."""

    importer: str
    imported: str
    name: str


@dataclass(frozen=True)
class Arrow:
    """All imports of one room from another room."""

    source: str
    target: str
    imports: tuple[Import, ...]

    @property
    def house(self) -> str:
        return house_of(self.source)

    @property
    def is_within(self) -> bool:
        """Whether both rooms are in one house."""
        return self.house == house_of(self.target)

    @property
    def names(self) -> int:
        return len({(each.imported, each.name) for each in self.imports})

    @property
    def points_up(self) -> bool:
        """Whether the arrow points up the layers. Imports of the app from the kit have no order."""
        room, other_room = room_in(self.source), room_in(self.target)
        layers = KIT_LAYERS if self.house == KIT else APP_LAYERS
        if not self.is_within or not {room, other_room} <= set(layers):
            return False
        return layers.index(room) > layers.index(other_room)

    def describe(self) -> str:
        importers = sorted({each.importer for each in self.imports})
        return f"{self.source} imports {self.names} names of {self.target}: {', '.join(importers)}"


class Houses:
    """The modules of both houses, and the names that they import from each other.

    The kit's own tests are left out: they are in no room, import an example, and look inside.
    """

    def __init__(self, root: Path, package: str) -> None:
        self.package = package
        self.names = (package, KIT)
        self._part_of = {f"{package}.{module}": room for module, room in PART_OF.items()}
        self.files = {
            _module_of(file.relative_to(root)): file
            for house in self.names
            for file in sorted((root / house).rglob("*.py"))
            if (root / KIT / TESTS) not in file.parents
        }
        self.imports = [each for module in self.files for each in self._imports_of(module)]

    def room_of(self, module: str) -> str:
        house, *inner = module.split(".")
        if module in self._part_of:
            return f"{house}.{self._part_of[module]}"
        room = ".".join([house, *inner[:1]])
        is_package = room in self.files and self.files[room].name == "__init__.py"
        return room if inner and is_package else f"{house}.{MAIN}"

    def arrows(self) -> list[Arrow]:
        found: dict[tuple[str, str], list[Import]] = defaultdict(list)
        for each in self.imports:
            rooms = self.room_of(each.importer), self.room_of(each.imported)
            if rooms[0] != rooms[1]:
                found[rooms].append(each)
        return [Arrow(*rooms, tuple(imports)) for rooms, imports in sorted(found.items())]

    def cycles(self, house: str) -> list[set[str]]:
        """Return the import cycles of a house: groups of modules that import each other."""
        reached = {module: self._reached_from(module) for module in self.files}
        groups = {
            frozenset(other for other in reached[module] if module in reached[other])
            for module in self.files
            if house_of(module) == house
        }
        return [set(group) for group in groups if len(group) > 1]

    def lines_of_files(self, house: str) -> dict[str, int]:
        return {
            module: len(file.read_text(encoding="utf-8").splitlines())
            for module, file in self.files.items()
            if house_of(module) == house
        }

    def _imports_of(self, module: str) -> Iterator[Import]:
        for node in ast.walk(ast.parse(self.files[module].read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [(alias.name, WHOLE) for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [self._resolve(node.module, alias.name) for alias in node.names]
            else:
                continue
            yield from (Import(module, *each) for each in names if each[0] in self.files)

    def _resolve(self, module: str, name: str) -> tuple[str, str]:
        submodule = f"{module}.{name}"
        return (submodule, WHOLE) if submodule in self.files else (module, name)

    def _reached_from(self, module: str) -> set[str]:
        reached: set[str] = set()
        pending = [module]
        while pending:
            below = self._targets[pending.pop()] - reached
            reached |= below
            pending += below
        return reached

    @cached_property
    def _targets(self) -> Mapping[str, set[str]]:
        targets: dict[str, set[str]] = defaultdict(set)
        for each in self.imports:
            targets[each.importer].add(each.imported)
        return targets


def house_of(name: str) -> str:
    return name.partition(".")[0]


def room_in(name: str) -> str:
    """Return the room's name within its house."""
    return name.partition(".")[2]


def _module_of(file: Path) -> str:
    return ".".join(file.with_suffix("").parts).removesuffix(".__init__")
