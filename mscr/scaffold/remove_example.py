"""Compute the changes that remove a project's example resource, and find what must stay."""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from mscr.scaffold.changes import Changes
from mscr.scaffold.example import FILE, Example, Passage
from mscr.scaffold.example_uses import find_uses
from mscr.scaffold.python_source import Trimmed, without

RECORD_OF_ROUTES: Final = "tests/recorded_routes.toml"
# Code that may use the example, and texts that may mention it, below the project's folder.
CODE: Final = ("{package}/**/*.py", "tests/**/*.py", "benchmarks/**/*.py", "checks/**/*.py", "*.py")
TEXTS: Final = ("{package}/**/*.py", "tests/*.py", "docs/**/*.md", "deploy/*.md", "*.md")


class CannotRemoveError(Exception):
    """Why the example cannot be removed, one line each."""

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


def read_example(root: Path, package: str) -> Example:
    """Raises `CannotRemoveError` if the example was removed."""
    file = root / package / FILE
    if not file.exists():
        raise CannotRemoveError(f"the example was removed already: there is no {package}/{FILE}")
    return Example.read(file)


class Removal:
    """The changes that remove an example, and the lines that they leave to the owner.

    The migrations and `openapi.json` are not among them. Raises `CannotRemoveError`.
    """

    def __init__(self, root: Path, package: str, example: Example) -> None:
        self.changes = Changes(root)
        self.left: list[str] = []
        self._package = package
        self._example = example
        classes = self._classes()
        for file in (*example.files, f"{package}/{FILE}"):
            self.changes.delete(file)
        self._refuse_uses(self._trim(), classes)
        for passage in example.passages:
            self._replace(passage)
        self._remove_routes()
        self._find_mentions()

    def _classes(self) -> set[str]:
        """Return the names of its classes, which relationships name as texts."""
        files = [file for file in self._example.files if file.endswith(".py")]
        trees = [ast.parse(self.changes.read(file) or "") for file in files]
        return {node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)}

    def _trim(self) -> dict[str, Trimmed]:
        trimmed = {}
        for file in self._files(CODE):
            trimmed[file] = without(
                self._text(file),
                modules=self._example.modules,
                elements=self._example.elements.get(file, ()),
                statements=self._example.statements.get(file, ()),
            )
            self.changes.write(file, trimmed[file].source)
        return trimmed

    def _refuse_uses(self, sources: dict[str, Trimmed], classes: set[str]) -> None:
        # Passages that are replaced below are the example's own.
        members = {member for each in sources.values() for member in each.members}
        uses = [
            f"{file}:{line} uses {words}"
            for file, trimmed in sources.items()
            for line, words in find_uses(
                trimmed.source,
                names=trimmed.names | members,
                classes=classes,
                table=self._example.table,
            )
        ]
        if uses:
            raise CannotRemoveError("your code uses the example: change these lines first", *uses)

    def _replace(self, passage: Passage) -> None:
        text = self.changes.read(passage.file)
        if text is None:
            return
        if passage.old in text:
            self.changes.write(passage.file, text.replace(passage.old, passage.new, 1))
            return
        gone = _lines_of(passage.old) - _lines_of(passage.new)
        changed = [n for n, line in enumerate(text.splitlines(), 1) if line.strip() in gone]
        if changed:
            self.left.append(f"{passage.file}:{changed[0]} was changed: remove the example there")

    def _remove_routes(self) -> None:
        text = self.changes.read(RECORD_OF_ROUTES)
        if text is None:
            return
        routes = re.compile(rf'"\w+ {re.escape(self._example.path)}["/]')
        lines = [line for line in text.splitlines(keepends=True) if not routes.match(line)]
        for route, fewer in self._example.queries.items():
            lines = [
                _with_fewer(line, fewer) if line.startswith(f'"{route}" =') else line
                for line in lines
            ]
        self.changes.write(RECORD_OF_ROUTES, "".join(lines))

    def _find_mentions(self) -> None:
        for file in self._files(TEXTS):
            # Pages of the kit's docs show requests for another application's resources.
            path = () if file.startswith("docs/") else (self._example.path,)
            words = "|".join(map(re.escape, (*self._example.files, *path)))
            mention = re.compile(rf"(?<![\w/])(?:{words})(?!\w)")
            for number, line in enumerate(self._text(file).splitlines(), 1):
                if found := mention.search(line):
                    self.left.append(f"{file}:{number} mentions {found[0]}")

    def _files(self, patterns: Sequence[str]) -> Iterator[str]:
        for pattern in patterns:
            for file in sorted(self.changes.root.glob(pattern.format(package=self._package))):
                name = file.relative_to(self.changes.root).as_posix()
                if self.changes.read(name) is not None:
                    yield name

    def _text(self, file: str) -> str:
        return self.changes.read(file) or ""


def _lines_of(text: str) -> set[str]:
    """Return the lines that are more than a bracket."""
    return {line.strip() for line in text.splitlines() if len(line.strip()) > 1}


def _with_fewer(line: str, statements: int) -> str:
    """Return a line of the record of routes with fewer SQL statements."""
    return re.sub(
        r"(?<=statements = )\d+", lambda found: str(int(found[0]) - statements), line, count=1
    )
