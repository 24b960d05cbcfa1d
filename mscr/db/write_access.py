"""The privileges of a role in PostgreSQL, looked up before anything is tried."""

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
    """`grant` is the statement that lets the role create tables, or empty if it may.

    `has_tables` says whether any table of the program is there, and `has_path` whether the session
    looks for tables in any schema.
    """

    has_tables: bool
    is_read_only: bool = False
    grant: str = ""
    has_path: bool = True


def write_access(connection: Connection, tables: MetaData) -> WriteAccess:
    """Return what the server says; on SQLite, the transaction that is begun has the answer."""
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
    """Return the first schema that a search path names; without any, the one of the role."""
    first = path.partition(",")[0].strip().strip('"')
    return role if first in {"", "$user"} else first
