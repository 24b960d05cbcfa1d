"""Find code that uses what an example defines."""

import ast
import re
from collections.abc import Collection, Iterator
from typing import Final

# Calls that name a model or a column by a text.
_NAMING_CALLS: Final = {"relationship", "ForeignKey", "ForeignKeyConstraint"}


def find_uses(
    source: str, *, names: Collection[str], classes: Collection[str], table: str
) -> list[tuple[int, str]]:
    """Return the line and the words of each use, in the order of the lines.

    `names` are names and members of classes that are defined no more. `classes` are those of the
    example, and `table` is its table.
    """
    tree = ast.parse(source)
    column = re.compile(rf"{re.escape(table)}\.\w+")
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node) in names:
            found.add((node.lineno, ast.unparse(node)))
        elif isinstance(node, ast.Subscript):
            found |= {(line, text) for line, text in _texts(node.slice) if text in names}
        elif isinstance(node, ast.Call) and _called(node) in _NAMING_CALLS:
            found |= {
                (line, text)
                for line, text in _texts(node)
                if text in classes or column.fullmatch(text)
            }
    return sorted(found)


def _called(node: ast.Call) -> str:
    return ast.unparse(node.func).rpartition(".")[2]


def _texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
