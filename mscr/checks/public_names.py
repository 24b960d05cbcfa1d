"""Check that an application imports only public names of the kit: `make check` runs this.

`mscr/README.md` lists them. In the template itself, a name is public if the application imports it
in any way, if an example or a test in `tests/` does, or if the pages for owners show it.
`--template` compares the list with these names. `--write` adds a line for each new name, from its
docstring, and removes lines of names that no longer exist. The texts of other names are kept, even
if a name has moved.
"""

import ast
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from mscr.checks.houses import KIT, MAIN, WHOLE, Houses, house_of
from mscr.checks.rooms_picture import ROOMS
from mscr.project import Project

README: Final = "mscr/README.md"
PAGES: Final = ("AGENTS.md", "docs/*.md", "tests/*.py")
# The list follows this heading, to the end of the file.
HEADING: Final = "## Public names\n"
_ENTRY: Final = re.compile(r"^- `([\w.]+)`: (.+)$", re.MULTILINE)
_IMPORT: Final = re.compile(r"^ *from (mscr[\w.]*) import (?:\(([^)]*)\)|(.+))$", re.MULTILINE)
_MEMBER: Final = re.compile(r"\w+")

# The text of each name, by its qualified name, such as `mscr.models.base.PublicIdMixin`.
Entries = Mapping[str, str]


def public_names(houses: Houses, root: Path) -> set[str]:
    """Return the names that the application, its tests and the pages import from the kit."""
    imported = {
        each.imported if each.name == WHOLE else f"{each.imported}.{each.name}"
        for each in houses.imports
        if house_of(each.importer) == houses.package and house_of(each.imported) == KIT
    }
    shown = {
        name
        for pattern in PAGES
        for page in root.glob(pattern)
        for name in _names_on(page.read_text(encoding="utf-8"))
    }
    return imported | shown


def find_faults(listed: Entries, imported: set[str]) -> list[str]:
    """Return a line for each name that is used but not public."""
    return [
        f"{name} is not public, and may change in any release: use names that {README} lists"
        for name in sorted(imported - set(listed))
    ]


def find_unused(listed: Entries, public: set[str]) -> list[str]:
    """Return a line for each public name that the template neither uses nor shows."""
    return [f"{README} lists {name}" for name in sorted(set(listed) - public)]


def listed_names(text: str) -> Entries:
    return dict(_ENTRY.findall(text.partition(HEADING)[2]))


def render(public: set[str], texts: Entries, houses: Houses) -> str:
    """Return the list, grouped by room in the order of the layers."""
    parts = []
    for room, about in ROOMS.items():
        names = sorted(name for name in public if _room_of(name, houses) == f"{KIT}.{room}")
        if names:
            title = "Beside the rooms" if room == MAIN else f"`{room}`"
            lines = [
                f"- `{name}`: {_text_of(name, texts) or _described(name, houses)}" for name in names
            ]
            parts.append("\n".join([f"### {title}: {about}\n", *lines, ""]))
    return "\n".join(parts)


def _names_on(page: str) -> Iterator[str]:
    for module, several, one in _IMPORT.findall(page):
        for name in (several or one).split(","):
            found = _MEMBER.match(name.strip())
            if found:
                yield f"{module}.{found[0]}"


def _room_of(name: str, houses: Houses) -> str:
    return houses.room_of(name if name in houses.files else name.rpartition(".")[0])


def _text_of(name: str, texts: Entries) -> str | None:
    """Return the existing text, even if it is listed under the previous module of a class."""
    own = name.rpartition(".")[2]
    moved = [text for each, text in texts.items() if each.rpartition(".")[2] == own != own.lower()]
    return texts.get(name) or (moved[0] if len(moved) == 1 else None)


def _described(name: str, houses: Houses) -> str:
    """Return the first sentence of the docstring or of the comment above, if any."""
    if name in houses.files:
        return _first_sentence(ast.get_docstring(ast.parse(houses.files[name].read_text())))
    module, _, own = name.rpartition(".")
    text = houses.files[module].read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name == own:
                return _first_sentence(ast.get_docstring(node))
        elif own in _assigned(node):
            return _first_sentence(_comment_above(text.splitlines(), node.lineno))
    return _first_sentence(None)


def _assigned(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.AnnAssign):
        return {ast.unparse(node.target)}
    return {ast.unparse(each) for each in node.targets} if isinstance(node, ast.Assign) else set()


def _comment_above(lines: list[str], number: int) -> str:
    above = []
    for line in reversed(lines[: number - 1]):
        if not line.startswith("#"):
            break
        above.append(line.removeprefix("#").strip())
    return " ".join(reversed(above))


def _first_sentence(text: str | None) -> str:
    sentence = " ".join((text or "").split()).partition(". ")[0].rstrip(".")
    return f"{sentence}." if sentence else "?"


def main(project: Project, arguments: Sequence[str], *, examples: Sequence[str] = ()) -> None:
    """Check the list of public names, or with `--write` update it.

    `examples` are packages whose imports count like those of the application.
    """
    readme = project.root / README
    houses = Houses(project.root, project.package)
    others = [Houses(project.root, package) for package in examples]
    text = readme.read_text(encoding="utf-8")
    public = set().union(*(public_names(each, project.root) for each in (houses, *others)))
    listed = listed_names(text)
    if "--write" in arguments:
        introduction = text.partition(HEADING)[0]
        rendered = render(public, listed, houses)
        readme.write_text(f"{introduction}{HEADING}\n{rendered}", encoding="utf-8")
        return
    faults = find_faults(listed, public)
    if "--template" in arguments and (faults or find_unused(listed, public)):
        faults += find_unused(listed, public)
        faults.append("write the list with python -m checks.public_names --write")
    if faults:
        sys.exit("\n".join(faults))
    print(f"{README} lists {len(listed)} public names.")  # noqa: T201  # a command
