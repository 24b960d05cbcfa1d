"""The URL of a database: one function that reads it, and one that connects with it."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy.engine import URL

from app.core.server_urls.choice_of_server import ServerChoice
from app.core.server_urls.parts import AddressError, host_text, split_url
from app.core.server_urls.postgresql import (
    PORT,
    hosts_of,
    postgresql_arguments,
    read_postgresql_url,
)
from app.core.server_urls.sqlite import read_sqlite_url

_POSTGRESQL: Final = ("postgres", "postgresql")
FORM: Final = "postgresql://user:password@host:5432/name or sqlite:///./app.db"
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def read_database_url(
    text: str, *, root: Path, writes: bool = True, governed: Mapping[str, str] = _NOTHING
) -> URL:
    """Return the URL with the drivers for asyncio, and with options in one form.

    A relative path of SQLite starts at `root`. `writes` is False for a replica. `governed` maps
    options and server settings that must not be in a URL to the remedy.

    Raises `AddressError`: one line that says what to do, without any value.
    """
    parts = split_url(text, form=FORM)
    # Any driver may be named: what the provider's page has is often another language's.
    backend = parts.scheme.partition("+")[0]
    if backend in _POSTGRESQL:
        return read_postgresql_url(parts, governed, writes=writes)
    if backend == "sqlite":
        return read_sqlite_url(parts, governed, root=root)
    raise AddressError(f"the database must be {FORM}")


def text_of(url: URL) -> str:
    """Return the URL as text, password included, as both SQLAlchemy and this module read it."""
    before, mark, query = url.render_as_string(hide_password=False).partition("?")
    # To SQLAlchemy a + is a space, and to libpq it is a +.
    return f"{before}{mark}{query.replace('+', '%20')}"


def connection_of(
    url: URL, *, read_only: bool = False, defaults: Mapping[str, Any] = _NOTHING
) -> tuple[URL, dict[str, Any]]:
    """Return what `create_async_engine` takes: a URL without options, and `connect_args`.

    With `read_only`, sessions are to be read-only by `default_transaction_read_only`. `defaults`
    are arguments for what the URL does not say; of `server_settings`, each on its own.
    """
    if url.get_backend_name() == "sqlite":
        return url, dict(defaults)
    address, arguments = postgresql_arguments(url, read_only=read_only)
    settings = {**defaults.get("server_settings", {}), **arguments["server_settings"]}
    arguments["async_creator_fn"] = ServerChoice(defaults.get("async_creator_fn"))
    return address, {**defaults, **arguments, "server_settings": settings}


def name_of(url: URL) -> str:
    """Return which database a URL means, without user and password."""
    if url.get_backend_name() == "sqlite":
        return f"SQLite {url.database}"
    places = hosts_of(url) or [("localhost", None)]
    hosts = ",".join(host_text(host, port or PORT) for host, port in places)
    return f"PostgreSQL {hosts}/{url.database}"
