"""PostgreSQL URLs: translate libpq's form, which providers issue, for SQLAlchemy and asyncpg."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy.engine import URL

from mscr.connections.urls.parts import (
    MAX_PORT,
    AddressError,
    Parts,
    host_text,
    single_options,
    split_host,
    whole_number,
)
from mscr.connections.urls.postgresql_options import (
    SAME,
    connect_arguments,
    require_writing_target,
    usable_options,
)

DRIVER: Final = "postgresql+asyncpg"
PORT: Final = 5432

FORM: Final = "postgresql://user:password@host:5432/name"
Hosts = list[tuple[str, int | None]]


def read_postgresql_url(parts: Parts, governed: Mapping[str, str], *, writes: bool) -> URL:
    """Return the normalized URL, with only those options that are translated.

    `governed` maps options and server settings that must not be in a URL to the remedy. Raises
    `AddressError`.
    """
    named = [(SAME.get(name, name), value) for name, value in parts.options]
    options = single_options([option for option in named if option[0] != "host"])
    hosts = _hosts(parts, [value for name, value in named if name == "host"], options)
    password = options.get("password", parts.password)
    url = URL.create(
        DRIVER,
        # SQLAlchemy drops a password without a user. An empty user means the driver's default.
        username=options.get("user") or parts.user or (None if password is None else ""),
        password=password,
        database=options.get("dbname") or parts.path,
    )
    if not url.database:
        raise AddressError(f"it has no database; it needs the form {FORM}")
    if not hosts and (parts.password or options.get("port")):
        raise AddressError(f"it has no host; it needs the form {FORM}")
    url = _placed(url, hosts).update_query_dict(usable_options(options, governed))
    # Detect unusable values and files now, rather than at the first connection.
    postgresql_arguments(url, read_only=not writes)
    if writes:
        require_writing_target(options)
    return url


def postgresql_arguments(url: URL, *, read_only: bool) -> tuple[URL, dict[str, Any]]:
    """Return the URL without its options, and the options as arguments of `asyncpg.connect`.

    `server_settings` is always among the arguments. Raises `AddressError`.
    """
    options = {SAME.get(name, name): str(value) for name, value in url.query.items()}
    arguments = connect_arguments(options, read_only=read_only)
    if hosts := hosts_of(url):
        arguments["host"] = [host for host, _ in hosts]
        # Always set: otherwise asyncpg would use the variable PGPORT.
        arguments["port"] = [port or PORT for _, port in hosts]
    return url.set(query={}), arguments


def hosts_of(url: URL) -> Hosts:
    """Return the URL's hosts (names, IP addresses or paths of sockets) with their ports."""
    if "host" in url.query:
        return _listed(_texts(url, "host"), ",".join(_texts(url, "port")))
    return [(url.host, url.port)] if url.host else []


def _texts(url: URL, name: str) -> list[str]:
    value = url.query.get(name, ())
    return [value] if isinstance(value, str) else list(value)


def _hosts(parts: Parts, listed: list[str], options: Mapping[str, str]) -> Hosts:
    """Return the hosts. As in libpq, the option `host` overrides the host of the authority."""
    port = options.get("port", "")
    if listed := [text for text in listed if text]:
        return _listed(listed, port)
    default = _port(port)
    hosts = [(host, port or default) for host, port in parts.hosts if host]
    if len(hosts) < len(parts.hosts) and (hosts or parts.hosts[0][1]):
        raise AddressError("a host is missing before its port or comma")
    return hosts


def _listed(texts: list[str], port: str) -> Hosts:
    hosts = [split_host(part) for text in texts for part in text.split(",")]
    if not all(host for host, _ in hosts):
        raise AddressError("host has an empty name in its list")
    ports = [_port(part) for part in port.split(",")]
    if len(ports) == 1:
        ports *= len(hosts)
    if len(ports) != len(hosts):
        raise AddressError("port needs one number, or one for each host")
    return [(host, given or other) for (host, given), other in zip(hosts, ports, strict=True)]


def _placed(url: URL, hosts: Hosts) -> URL:
    """Put a single host into the URL; put sockets and several hosts into SQLAlchemy's options."""
    if len(hosts) == 1 and not hosts[0][0].startswith("/"):
        return url.set(host=hosts[0][0], port=hosts[0][1])
    if not hosts:
        return url
    names = [host_text(host, None) for host, _ in hosts]
    ports = ",".join(str(port or PORT) for _, port in hosts)
    return url.set(query={"host": ",".join(names), "port": ports})


def _port(text: str) -> int | None:
    return whole_number("port", text, lowest=1, highest=MAX_PORT) if text else None
