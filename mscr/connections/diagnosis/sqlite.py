"""What SQLite says of its file: by the names of its codes."""

from typing import Final

from app.core.diagnosis.types import Diagnosis, Rule, Service, apply_rules

_WRITABLE: Final = "give this user the right to write the file and its folder"
_RULES: Final[tuple[Rule, ...]] = (
    (
        "SQLITE_CANTOPEN",
        "",
        "the file cannot be opened: this user may not use it, or its folder; or that is missing",
        "let this user read and write the file of {setting} and its folder, or create the folder",
    ),
    ("SQLITE_READONLY", "", "the file or its folder may not be written by this user", _WRITABLE),
    ("SQLITE_PERM", "", "the file may not be used by this user", _WRITABLE),
    (
        "SQLITE_BUSY",
        "",
        "another process holds the write lock",
        "end what writes there, or wait for it",
    ),
    ("SQLITE_LOCKED", "", "another connection holds a lock", "try again"),
    ("SQLITE_NOTADB", "", "the file is not a database of SQLite", "correct the path in {setting}"),
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
