"""Look up the privileges of a PostgreSQL role before anything is written."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, MetaData, inspect, text

_ACCESS: Final = text(
    "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on',"
    " current_user, current_database(), current_schema(), current_setting('search_path'),"
    " coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)"
)


@dataclass(frozen=True, slots=True)
class WriteAccess:
    """The privileges that migrations need.

    `grant` is the statement that permits the role to create tables, or empty if it may already.
    `has_tables`: some tables of the application exist. `has_path`: the search path has a schema.
    """

    has_tables: bool
    is_read_only: bool = False
    grant: str = ""
    has_path: bool = True


def write_access(connection: Connection, tables: MetaData) -> WriteAccess:
    """Return the role's privileges. On SQLite only `has_tables`: BEGIN has shown write access."""
    has_tables = not tables.tables.keys().isdisjoint(inspect(connection).get_table_names())
    if connection.dialect.name != "postgresql":
        return WriteAccess(has_tables)
    is_read_only, role, database, schema, path, creates = connection.execute(_ACCESS).one()
    if creates:
        return WriteAccess(has_tables, is_read_only)
    grant = (
        f'CREATE SCHEMA "{_first_of(path, role)}" AUTHORIZATION "{role}"'
        if schema is None
        else f'GRANT USAGE, CREATE ON SCHEMA "{schema}" TO "{role}"'
    )
    grant = f'{grant} (in the database "{database}")'
    return WriteAccess(has_tables, is_read_only, grant, has_path=path.strip('" ') != "")


def _first_of(path: str, role: str) -> str:
    """Return the first schema of a search path or, if it has none, the role's own schema."""
    first = path.partition(",")[0].strip().strip('"')
    return role if first in {"", "$user"} else first
