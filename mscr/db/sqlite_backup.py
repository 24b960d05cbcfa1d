"""Back up an SQLite database that is in use, and restore one that is not in use.

Warning: a copy of the file alone loses data. The last writes are in the -wal file beside it.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final

# How long to wait while another process locks the whole database: a backup's start, or a restore.
LOCK_WAIT_SECONDS: Final = 10
# Short: a process that uses the database keeps its lock until it exits.
RESTORE_WAIT_SECONDS: Final = 1
# The extended codes of SQLite have more bits above these.
_CODE_BITS: Final = 0xFF
_LOCKED: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
# Errors that concern the file that is written, not the one that is read.
_UNWRITABLE: Final = (
    "SQLITE_FULL",
    "SQLITE_IOERR_WRITE",
    "SQLITE_IOERR_FSYNC",
    "SQLITE_IOERR_TRUNCATE",
)
SIDE_FILES: Final = ("-wal", "-shm", "-journal")


class BackupError(Exception):
    """A backup or restore was refused or failed. Nothing was changed."""

    def __init__(self, detail: str, remedy: str) -> None:
        super().__init__(f"{detail}; {remedy}")
        self.detail = detail
        self.remedy = remedy


def back_up(database: Path, target: Path) -> None:
    """Write a snapshot of the database into a new file, while other processes may write to it.

    The file gets its name when it is complete, checked and flushed to disk. Raise `BackupError`.
    """
    _require_absent(target)
    partial = target.with_name(f"{target.name}.partial")
    with _new_file(partial), _explained(database, written=target):
        with (
            closing(_open(database, "ro", LOCK_WAIT_SECONDS)) as source,
            closing(_open(partial, "rw", LOCK_WAIT_SECONDS)) as copy,
        ):
            _copy(source, copy)
            # Without WAL, the backup is a single file, and can be read on a read-only medium.
            copy.execute("PRAGMA journal_mode = DELETE")
            _require_intact(copy, database)
        _flush(partial)
        _require_absent(target)
        partial.rename(target)
        _flush(target.parent)


def restore(backup: Path, database: Path) -> None:
    """Replace the whole database by a backup, in one transaction.

    Raise `BackupError`, also if another process has the database open.
    """
    if database.exists() and backup.exists() and backup.samefile(database):
        raise BackupError(f"{backup} is the database itself", "name a backup")
    made = nullcontext() if database.exists() else _new_database(database)
    with (
        closing(_open_backup(backup)) as source,
        made,
        closing(_open_alone(database)) as target,
        _explained(backup, written=database),
    ):
        _copy(source, target)
    _flush(database)
    _flush(database.parent)


def read_revisions(backup: Path, table: str = "alembic_version") -> set[str]:
    """Return the revisions that a backup is at, or an empty set if it has no such table."""
    with closing(_open_backup(backup)) as source, _explained(backup):
        known = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
        if source.execute(known, (table,)).fetchone() is None:
            return set()
        found = source.execute(f'SELECT version_num FROM "{table}"')  # noqa: S608  # the caller's
        return {str(row[0]) for row in found}


def _open(file: Path, mode: str, wait: float) -> sqlite3.Connection:
    uri = f"{file.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=wait, isolation_level=None)


def _copy(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Copy all pages in one step, so of one moment. Raise `sqlite3.OperationalError`."""
    deadline = time.monotonic() + LOCK_WAIT_SECONDS

    def give_up(status: int, _: int, __: int) -> None:
        # `backup` itself waits for a lock without a limit.
        if status in _LOCKED and time.monotonic() > deadline:
            raise sqlite3.OperationalError("database is locked")

    source.backup(target, progress=give_up)


def _open_backup(backup: Path) -> sqlite3.Connection:
    if not backup.is_file():
        raise BackupError(f"there is no file {backup}", "name a backup")
    with _explained(backup):
        source = _open(backup, "ro", LOCK_WAIT_SECONDS)
        try:
            _require_intact(source, backup)
        except BaseException:
            source.close()
            raise
        return source


def _open_alone(database: Path) -> sqlite3.Connection:
    """Open the database and lock out all other processes until the connection is closed."""
    try:
        target = _open(database, "rwc", RESTORE_WAIT_SECONDS)
    except sqlite3.Error as error:
        raise _unwritable(database, error) from error
    try:
        # Leaving WAL needs every other connection closed, and removes the -wal and -shm files.
        target.execute("PRAGMA journal_mode = DELETE")
        target.execute("PRAGMA locking_mode = EXCLUSIVE")
        target.execute("BEGIN EXCLUSIVE")
        target.execute("COMMIT")
    except sqlite3.Error as error:
        target.close()
        code = getattr(error, "sqlite_errorcode", 0) & _CODE_BITS
        if code in _LOCKED:
            raise BackupError(f"{database} is in use", "stop the application first") from error
        if code not in _DAMAGED:
            raise _unwritable(database, error) from error
        remedy = "move it away, with its -wal and -shm files, and run this again"
        raise BackupError(f"{database} is damaged: {error}", remedy) from error
    return target


def _unwritable(file: Path, error: Exception) -> BackupError:
    return BackupError(f"cannot write {file}: {error}", "check its folder, and the space there")


def _require_absent(target: Path) -> None:
    if target.exists():
        raise BackupError(f"{target} exists already", "name a new file")


def _require_intact(connection: sqlite3.Connection, file: Path) -> None:
    [result] = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if result != "ok":
        found = " ".join(result.split())
        raise BackupError(f"{file} is damaged: {found}", "take an earlier backup")


@contextmanager
def _new_file(file: Path) -> Iterator[None]:
    """Create an empty file with mode 0600. Remove it if the block fails."""
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError as error:
        remedy = "another backup is running; if it was killed, remove the file"
        raise BackupError(f"{file} exists already", remedy) from error
    except OSError as error:
        raise BackupError(f"cannot write {file}: {error.strerror}", "name another file") from error
    os.close(descriptor)
    with _new_database(file):
        yield


@contextmanager
def _new_database(database: Path) -> Iterator[None]:
    """Create a database in this block. If the block fails, remove it with its side files."""
    # SQLite would apply the -wal or -journal file of a database that is gone to the new one.
    _remove_side_files(database)
    try:
        yield
    except BaseException:
        database.unlink(missing_ok=True)
        _remove_side_files(database)
        raise


@contextmanager
def _explained(read: Path, *, written: Path | None = None) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        if written is not None and name.startswith(_UNWRITABLE):
            raise _unwritable(written, error) from error
        raise BackupError(f"cannot use {read}: {error}", "check the file") from error


def _remove_side_files(database: Path) -> None:
    for ending in SIDE_FILES:
        database.with_name(database.name + ending).unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Flush a file to disk, or a folder with its entries (fsync)."""
    # Windows cannot open a folder.
    with suppress(PermissionError):
        descriptor = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
