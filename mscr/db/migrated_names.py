"""Distinguish the tables of our migrations from those of others in the same database.

Warning: Alembic's autogenerate drops every table that no model declares, including those of
extensions. This module leaves the tables of others out of the comparison. A table whose model was
removed is in the migration history, and is dropped.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import MetaData

_CREATE_TABLE: Final = re.compile(
    r"\bCREATE\s+(?:UNLOGGED\s+|VIRTUAL\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?\"?(\w+)",
    re.IGNORECASE,
)
# SQLAlchemy shortens longer names. The shortened form is in no migration.
_SHORTENED_LENGTH: Final = 54


class MigratedNames:
    """The names in a migration history: tables exactly, columns and indexes roughly.

    A column or an index is ours if any migration contains its name as a string. `files` are the
    migrations, oldest first. Downgrades are skipped.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        self.tables: set[str] = set()
        self._texts: set[str] = set()
        for file in files:
            self._read(ast.parse(file.read_bytes()))

    def is_ours(
        self, name: str | None, kind: str, parents: Mapping[str, Any], metadata: MetaData
    ) -> bool:
        """Return whether Alembic may compare, and so drop, this object (its `include_name`)."""
        if kind == "table":
            return name in self.tables or name in metadata.tables
        table = metadata.tables.get(str(parents.get("table_name")))
        if name is None or table is None or kind not in {"column", "index"}:
            return True
        declared = table.columns if kind == "column" else table.indexes
        shortened = kind == "index" and len(name) > _SHORTENED_LENGTH
        return shortened or name in self._texts or name in {one.name for one in declared}

    def _read(self, module: ast.Module) -> None:
        for node in _walk(module):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                self._texts.add(node.value)
                self.tables.update(_CREATE_TABLE.findall(node.value))
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                self._apply(node.func.attr, node.args)

    def _apply(self, operation: str, arguments: list[ast.expr]) -> None:
        names = [str(one.value) for one in arguments if isinstance(one, ast.Constant)]
        if operation == "create_table":
            self.tables.update(names[:1])
        elif operation == "rename_table":
            self.tables.update(names[1:2])
            self.tables.difference_update(names[:1])
        elif operation == "drop_table":
            self.tables.difference_update(names[:1])


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """Visit all nodes in source order, except those of downgrades."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.FunctionDef) and child.name == "downgrade"):
            yield child
            yield from _walk(child)
