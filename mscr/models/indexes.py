"""Partial indexes, of living rows or of deleted ones."""

from typing import Any, Final

from sqlalchemy import Column, Index, text

# Warning: spell these conditions exactly like the queries. SQLite compares their text to decide
# whether a query can use a partial index.
LIVING_ON_SQLITE: Final = "is_deleted IS 0"
LIVING_ON_POSTGRESQL: Final = "is_deleted IS false"


def living_index(name: str, *columns: str | Column[Any], where: str = "", **options: Any) -> Index:
    """Return an index of living rows, so that a page of a list never scans deleted rows.

    `where` is a further condition in SQL that both databases understand: with `unique=True`,
    `where="returned_at IS NULL"` allows one open loan of a book.
    """
    further = f" AND ({where})" if where else ""
    return Index(
        name,
        *columns,
        sqlite_where=text(LIVING_ON_SQLITE + further),
        postgresql_where=text(LIVING_ON_POSTGRESQL + further),
        **options,
    )


def deleted_index(name: str, *columns: str) -> Index:
    """Return an index of soft-deleted rows, for lists of rows that can be restored."""
    return Index(
        name,
        *columns,
        sqlite_where=text("is_deleted = 1"),
        postgresql_where=text("is_deleted"),
    )
