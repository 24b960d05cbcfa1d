"""The record of all routes: names, SQL statements and access, in a file that reviewers read."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mscr.testing.crawl import Answer
from mscr.testing.routes import ApiRoute

COMMAND: Final = "make record"
HEADING: Final = f"""\
# All routes: the operation's name, from which clients are generated; the number of SQL statements,
# for an administrator with objects of their own, or why the request was refused; and the status for
# each kind of caller, where an object in the path belongs to another user. `{COMMAND}` writes this
# file. Read its changes: a higher number may be a statement for each row (N+1), and another status
# is another access.

"""

Record = Mapping[str, Mapping[str, Any]]


def observed(
    routes: Mapping[str, ApiRoute], answers: Iterable[Answer], statements: Mapping[str, int | str]
) -> Record:
    """Return the record of the application as it is."""
    found: dict[str, dict[str, Any]] = {
        name: {"name": route.operation.get("operationId", ""), "statements": statements[name]}
        for name, route in routes.items()
    }
    for answer in answers:
        if answer.caller is not None:
            found[answer.route][answer.caller] = answer.response.status_code
    return found


@dataclass(frozen=True)
class RecordFile:
    """The file of a record: TOML, with a line for each route."""

    path: Path

    def read(self) -> Record:
        """Return the record, which is empty if there is no file yet."""
        return tomllib.loads(self.path.read_text()) if self.path.exists() else {}

    def write(self, record: Record) -> None:
        self.path.write_text(HEADING + "".join(f"{line}\n" for line in _lines(record).values()))

    def differences(self, record: Record) -> list[str]:
        """Return a line for each one to remove from the file, and for each one to add."""
        recorded, found = _lines(self.read()), _lines(record)
        changed = sorted(
            (
                name
                for name in recorded.keys() | found.keys()
                if recorded.get(name) != found.get(name)
            ),
            key=lambda name: name.split()[::-1],
        )
        return [
            f"{sign} {lines[name]}"
            for name in changed
            for sign, lines in (("-", recorded), ("+", found))
            if name in lines
        ]


def _lines(record: Record) -> dict[str, str]:
    return {
        name: f'"{name}" = {{ {", ".join(f"{k} = {_toml(v)}" for k, v in facts.items())} }}'
        for name, facts in record.items()
    }


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
