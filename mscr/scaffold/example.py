"""The description of an example resource: all that a project has because of it."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

# In the folder of the application's package.
FILE: Final = "example.toml"


@dataclass(frozen=True)
class Passage:
    """A text, and the one that replaces it."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class Example:
    """The contents of `example.toml`. Paths are relative to the project's folder."""

    table: str
    path: str
    """The path of its collection in the API."""
    migration: str
    """The name of the migration that makes its table."""
    files: Sequence[str]
    elements: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By file: elements of lists and sets, and keys of dictionaries."""
    statements: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By file: statements of Python."""
    queries: Mapping[str, int] = field(default_factory=dict)
    """By route: how many SQL statements it runs for the example."""
    passages: Sequence[Passage] = ()

    @classmethod
    def read(cls, file: Path) -> Self:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
        passages = [Passage(**each) for each in values.pop("passages", ())]
        return cls(**values, passages=passages)

    @property
    def modules(self) -> frozenset[str]:
        """The full names of its modules."""
        python = [file.removesuffix(".py") for file in self.files if file.endswith(".py")]
        return frozenset(file.replace("/", ".") for file in python)
