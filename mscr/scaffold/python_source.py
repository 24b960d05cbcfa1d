"""Remove parts of Python source, and keep everything else as it is, formatted as ruff does.

Parts are found in the syntax tree and cut out by their positions, so that comments stay.
"""

import ast
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeGuard

from mscr.scaffold.cuts import Cuts

# Decides about one imported name, from its module, the name there, and the name here.
Decide = Callable[[str, str, str], bool]


@dataclass(frozen=True)
class Trimmed:
    """The source without some parts, and the names that it lost with them."""

    source: str
    names: frozenset[str] = frozenset()
    """Names whose imports were removed with their modules."""
    members: frozenset[str] = frozenset()
    """Members of classes, such as `Color.RED`, whose statements were removed."""


def without(
    source: str,
    *,
    modules: Collection[str] = (),
    elements: Iterable[str] = (),
    statements: Iterable[str] = (),
) -> Trimmed:
    """Return the source without these parts, and without the imports that only they used.

    `modules` are full names of modules that exist no more. `elements` are expressions in lists,
    tuples and sets, and keys of dictionaries. `statements` may be formatted differently.
    """
    tree, cuts = ast.parse(source), Cuts(source)
    imports, names = _find_imports(
        tree, cuts, lambda module, name, _: module in modules or f"{module}.{name}" in modules
    )
    _cut_elements(tree, cuts, {_expression(each) for each in elements}, names)
    found, members = _find_statements(tree, {_meaning(ast.parse(each)) for each in statements})
    _cut_statements(tree, cuts, imports | found)
    trimmed = _without_unused_imports(source, cuts.apply())
    return Trimmed(trimmed, frozenset(names), frozenset(members))


def _without_unused_imports(before: str, after: str) -> str:
    if after == before:
        return after
    tree, cuts = ast.parse(after), Cuts(after)
    used, still_used = _words(before), _words(after)
    unused, _ = _find_imports(
        tree, cuts, lambda _module, _name, here: used[here] > 0 and still_used[here] == 0
    )
    _cut_statements(tree, cuts, unused)
    return cuts.apply()


def _words(source: str) -> Counter[str]:
    """Count the words outside of imports, those of strings and comments too."""
    tree, cuts = ast.parse(source), Cuts(source)
    for node in _imports_of(tree):
        cuts.statement(node)
    return Counter(re.findall(r"\w+", cuts.apply()))


def _imports_of(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node


def _find_imports(tree: ast.Module, cuts: Cuts, decide: Decide) -> tuple[set[ast.stmt], set[str]]:
    """Cut single names out of imports. Return the imports of nothing else, and all names."""
    statements: set[ast.stmt] = set()
    names: set[str] = set()
    for node in _imports_of(tree):
        found = [alias for alias in node.names if decide(*_imported(node, alias))]
        names.update(_imported(node, alias)[2] for alias in found)
        if len(found) == len(node.names):
            statements.add(node)
            continue
        for alias in found:
            cuts.element(alias)
    return statements, names


def _imported(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> tuple[str, str, str]:
    if isinstance(node, ast.ImportFrom):
        return node.module or "", alias.name, alias.asname or alias.name
    return alias.name, "", alias.asname or alias.name.partition(".")[0]


def _cut_elements(tree: ast.Module, cuts: Cuts, wanted: set[str], exported: set[str]) -> None:
    """Cut these elements, and these names of `__all__`."""
    exports = {repr(name) for name in exported}
    lists = {id(node.value) for node in ast.walk(tree) if _is_assignment_of_all(node)}
    for node in ast.walk(tree):
        pairs = _elements_of(node)
        gone = wanted | exports if id(node) in lists else wanted
        found = [pair for pair in pairs if ast.unparse(pair[0]) in gone]
        if found and len(found) == len(pairs) and isinstance(node, ast.List | ast.Dict):
            cuts.inside(node)
            continue
        for first, last in found:
            cuts.element(first, last)


def _is_assignment_of_all(node: ast.AST) -> TypeGuard[ast.Assign]:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"


def _elements_of(node: ast.AST) -> list[tuple[ast.expr, ast.expr]]:
    """Return the first and the last node of each element."""
    if isinstance(node, ast.Dict):
        return [(key, value) for key, value in zip(node.keys, node.values, strict=True) if key]
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return [(element, element) for element in node.elts]
    return []


def _find_statements(tree: ast.Module, wanted: set[str]) -> tuple[set[ast.stmt], set[str]]:
    found: set[ast.stmt] = set()
    members: set[str] = set()
    for node in ast.walk(tree):
        for statement in (each for block in _blocks_of(node) for each in block):
            if _meaning(statement) in wanted:
                found.add(statement)
                if isinstance(node, ast.ClassDef) and isinstance(statement, ast.Assign):
                    members.add(f"{node.name}.{ast.unparse(statement.targets[0])}")
    return found, members


def _cut_statements(tree: ast.Module, cuts: Cuts, dead: set[ast.stmt]) -> None:
    """Cut statements. A block that would be empty goes with its `if`, or becomes `pass`."""
    for node in ast.walk(tree):
        for block in _blocks_of(node):
            if isinstance(node, ast.Module) or not dead.issuperset(block):
                continue
            if isinstance(node, ast.If) and not node.orelse:
                cuts.statement(node)
            else:
                cuts.statement(block[-1], "pass")
                dead = dead - {block[-1]}
    for statement in dead:
        cuts.statement(statement)


def _blocks_of(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list) and block:
            yield block


def _expression(text: str) -> str:
    return ast.unparse(ast.parse(text, mode="eval"))


def _meaning(node: ast.AST) -> str:
    """Return a text that is the same for code that differs only in its format."""
    return ast.unparse(node)
