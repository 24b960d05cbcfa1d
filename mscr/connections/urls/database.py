"""Database URLs: one function parses them, another builds the arguments of an engine."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy.engine import URL

from mscr.connections.urls.choice_of_server import ServerChoice
from mscr.connections.urls.parts import AddressError, host_text, split_url
from mscr.connections.urls.postgresql import (
    PORT,
    hosts_of,
    postgresql_arguments,
    read_postgresql_url,
)
from mscr.connections.urls.sqlite import read_sqlite_url

_POSTGRESQL: Final = ("postgres", "postgresql")
FORM: Final = "postgresql://user:password@host:5432/name or sqlite:///./app.db"
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def read_database_url(
    text: str, *, root: Path, writes: bool = True, governed: Mapping[str, str] = _NOTHING
) -> URL:
    """Return the URL with the asyncio driver, and with its options normalized.

    A relative path of SQLite starts at `root`. `writes` is False for a replica. `governed` maps
    options and server settings that must not be in a URL to the remedy.

    Raises `AddressError`: one line with the remedy, without any value of the URL.
    """
    parts = split_url(text, form=FORM)
    # Any driver is accepted: providers often show the URL for another language.
    backend = parts.scheme.partition("+")[0]
    if backend in _POSTGRESQL:
        return read_postgresql_url(parts, governed, writes=writes)
    if backend == "sqlite":
        return read_sqlite_url(parts, governed, root=root)
    raise AddressError(f"the database must be {FORM}")


def text_of(url: URL) -> str:
    """Return the URL as text, including the password, for SQLAlchemy and this module alike."""
    before, mark, query = url.render_as_string(hide_password=False).partition("?")
    # SQLAlchemy writes a space as +, which libpq reads as a plus sign.
    return f"{before}{mark}{query.replace('+', '%20')}"


def connection_of(
    url: URL, *, read_only: bool = False, defaults: Mapping[str, Any] = _NOTHING
) -> tuple[URL, dict[str, Any]]:
    """Return the arguments of `create_async_engine`: a URL without options, and `connect_args`.

    `read_only` means that `default_transaction_read_only` makes the sessions read-only.
    `defaults` are connect arguments that options of the URL override; `server_settings` are
    overridden one by one.
    """
    if url.get_backend_name() == "sqlite":
        return url, dict(defaults)
    address, arguments = postgresql_arguments(url, read_only=read_only)
    settings = {**defaults.get("server_settings", {}), **arguments["server_settings"]}
    arguments["async_creator_fn"] = ServerChoice(defaults.get("async_creator_fn"))
    return address, {**defaults, **arguments, "server_settings": settings}


def name_of(url: URL) -> str:
    """Return a name for the database of a URL, without user and password."""
    if url.get_backend_name() == "sqlite":
        return f"SQLite {url.database}"
    places = hosts_of(url) or [("localhost", None)]
    hosts = ",".join(host_text(host, port or PORT) for host, port in places)
    return f"PostgreSQL {hosts}/{url.database}"
