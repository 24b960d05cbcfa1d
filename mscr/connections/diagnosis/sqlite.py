"""Diagnose errors of SQLite, by the names of its error codes."""

from typing import Final

from mscr.connections.diagnosis.types import Diagnosis, Rule, Service, apply_rules

_WRITABLE: Final = "give this user the right to write the file and its folder"
_RULES: Final[tuple[Rule, ...]] = (
    (
        "SQLITE_CANTOPEN",
        "",
        "the file cannot be opened: its folder is missing, or this user may not use both",
        "let this user read and write the file of {setting} and its folder, or create the folder",
    ),
    ("SQLITE_READONLY", "", "this user may not write the file or its folder", _WRITABLE),
    ("SQLITE_PERM", "", "this user may not use the file", _WRITABLE),
    (
        "SQLITE_BUSY",
        "",
        "another process holds the write lock",
        "stop the process that writes, or wait for it",
    ),
    ("SQLITE_LOCKED", "", "another connection holds a lock", "try again"),
    ("SQLITE_NOTADB", "", "the file is not an SQLite database", "correct the path in {setting}"),
    ("SQLITE_CORRUPT", "", "the file is damaged", "restore a backup"),
    ("SQLITE_FULL", "", "the disk is full", "free some space"),
    ("SQLITE_IOERR", "", "the disk cannot be read or written", "check its space and its health"),
    ("SQLITE_ERROR", "no such table", None, "{migrate}"),
    ("SQLITE_ERROR", "no such column", None, "{migrate}"),
    ("SQLITE_ERROR", "has no column named", None, "{migrate}"),
)


def diagnose_sqlite(error: BaseException, service: Service) -> Diagnosis | None:
    code = getattr(error, "sqlite_errorname", None)
    if not isinstance(code, str):
        return None
    return apply_rules(_RULES, code, str(error), service)
