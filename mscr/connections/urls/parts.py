"""Split the URL of a server into its parts, and tolerate unencoded characters.

No message quotes a part of the URL: it may belong to a password.
"""

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import quote, unquote

MAX_PORT: Final = 65_535
# Messages quote names of options. The longest known name has 27 characters; a longer word, or one
# with other characters, is more likely part of a password.
_OPTION: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,39}")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.:-]*)://(.*)", re.DOTALL)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
# Letters of any language, which are sent as IDNA. Docker allows underscores.
_HOST: Final = re.compile(r"[\w.-]+")
_SECRETS: Final = ("password", "sslpassword", "ssl_password")
ENCODE: Final = (
    "percent-encode special characters of the password: @ is %40, / is %2F, ? is %3F, # is %23"
)


class AddressError(ValueError):
    """The URL is unusable. The message is one line, without any value of the URL."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The decoded parts of a URL. A host is a name, an IP address or the path of a socket."""

    scheme: str
    user: str | None
    password: str | None
    hosts: list[tuple[str, int | None]]
    path: str
    options: list[tuple[str, str]]


def split_url(text: str, *, form: str) -> Parts:
    """Split a URL; messages show `form` as an example. Raises `AddressError`."""
    text = text.strip()
    _refuse_wrapping(text)
    found = _SCHEME.fullmatch(text)
    if found is None:
        raise AddressError(f"not a URL; it needs the form {form}")
    authority, path, query = _split_rest(found[2])
    credentials, at, hosts = authority.rpartition("@")
    user, colon, password = credentials.partition(":")
    return Parts(
        scheme=found[1].lower(),
        user=unquote(user) or None,
        password=unquote(password) if at and colon else None,
        hosts=[split_host(host) for host in hosts.split(",")] if hosts else [],
        path=unquote(path),
        options=_split_query(query),
    )


def split_host(text: str) -> tuple[str, int | None]:
    """Split `host`, `host:port`, `[IPv6]:port` or the path of a socket. Raises `AddressError`."""
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise AddressError("an IPv6 address needs the form [::1]:5432")
        return _checked_ipv6(unquote(host)), _port(port[1:])
    if text.startswith("/"):
        return text, None
    if text.count(":") > 1:
        raise AddressError("an IPv6 address needs brackets, as in [::1]:5432")
    host, _, port = text.partition(":")
    return _checked_host(unquote(host)), _port(port)


def credentials_text(user: str | None, password: str | None) -> str:
    """Return `user:password@`, percent-encoded, or an empty string without both."""
    if user is None and password is None:
        return ""
    secret = "" if password is None else f":{quote(password, safe='')}"
    return f"{quote(user or '', safe='')}{secret}@"


def host_text(host: str, port: int | None) -> str:
    """Return `host:port`, with an IPv6 address in brackets. A host may be a socket's path."""
    name = f"[{host}]" if ":" in host and not host.startswith("/") else host
    return f"{name}:{port}" if port else name


def single_options(options: list[tuple[str, str]]) -> dict[str, str]:
    """Return the options by name. Raises `AddressError` if one has two different values."""
    found: dict[str, str] = {}
    for name, value in options:
        if found.setdefault(name, value) != value:
            raise AddressError(f"{name} is given twice, with different values; keep one")
    return found


def refused_option(name: str, options: Iterable[str], reason: str) -> AddressError:
    """Return the error for a refused option. `options` are the names of all options, in order.

    An option that follows a password is not named: it may be the rest of the password, after an
    & that was not percent-encoded.
    """
    earlier = itertools.takewhile(lambda other: other != name, options)
    if secret := next((other for other in earlier if other in _SECRETS), None):
        return AddressError(f"an unknown option follows {secret}; & inside a password is %26")
    return AddressError(f"{name}: {reason}")


def whole_number(name: str, value: str, *, lowest: int = 0, highest: int = 1_000_000) -> int:
    """Return an option's value. Raises `AddressError` unless it is an integer within bounds."""
    if not re.fullmatch(r"[0-9]{1,9}", value) or not lowest <= int(value) <= highest:
        raise AddressError(f"{name} needs a whole number from {lowest} to {highest}")
    return int(value)


def _refuse_wrapping(text: str) -> None:
    if text[:1] in {'"', "'"}:
        raise AddressError("it has quotes around it; remove them")
    try:
        decoded = unquote(text, errors="strict")
        decoded.encode()
    except UnicodeError:
        raise AddressError("it is not UTF-8 text") from None
    if _CONTROL.search(text) or "\0" in decoded:
        raise AddressError("it has a line break or another control character inside; remove it")


def _split_rest(text: str) -> tuple[str, str, str]:
    """Return authority, path and query. There is no fragment: # is an ordinary character.

    An @ after the authority is refused: most likely the password contains a / or ?, which ended
    the authority too early.
    """
    before, _, query = text.partition("?")
    authority, _, path = before.partition("/")
    if "@" in path or "@" in query:
        raise AddressError(f"an @ after the host; {ENCODE}")
    return authority, path, query


def _split_query(query: str) -> list[tuple[str, str]]:
    options: list[tuple[str, str]] = []
    for option in filter(None, query.split("&")):
        name, equals, value = option.partition("=")
        if not equals or not _OPTION.fullmatch(name):
            raise AddressError("options need the form ?name=value&name=value")
        options.append((name, unquote(value)))
    return options


def _checked_host(host: str) -> str:
    if host.startswith("/") or not host:
        return host
    try:
        host.encode("idna")
    except UnicodeError:
        raise AddressError("the host is not a host name") from None
    if not _HOST.fullmatch(host):
        raise AddressError("the host is not a host name")
    return host


def _checked_ipv6(host: str) -> str:
    try:
        IPv6Address(host)
    except ValueError:
        raise AddressError("an IPv6 address needs the form [::1]:5432") from None
    return host


def _port(text: str) -> int | None:
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise AddressError(
            "the port is not a number; either the @ between password and host is missing, or "
            + ENCODE
        )
    if not 1 <= int(text) <= MAX_PORT:
        raise AddressError(f"the port must be from 1 to {MAX_PORT}")
    return int(text)
