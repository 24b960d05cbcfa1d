"""Redis and Valkey URLs: translate those that hosting providers issue for redis-py."""

import re
import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

from mscr.connections.urls.certificates import present_certificate, trust_authorities
from mscr.connections.urls.parts import (
    AddressError,
    Parts,
    credentials_text,
    host_text,
    refused_option,
    single_options,
    split_url,
    whole_number,
)

PORT: Final = 6379
FORM: Final = "redis://user:password@host:6379/0, rediss://… for TLS, or unix:///path?db=0"
MAX_SECONDS: Final = 60

_SCHEMES: Final = {
    "redis": "redis",
    "rediss": "rediss",
    "valkey": "redis",
    "valkeys": "rediss",
    **dict.fromkeys(("unix", "redis+unix", "redis+socket", "redis-socket"), "unix"),
}
_DISTRIBUTED: Final = ("sentinel", "cluster")
_KEY_PAIR: Final = ("ssl_certfile", "ssl_keyfile", "ssl_password")
_SECONDS: Final = ("socket_timeout", "socket_connect_timeout")
_NUMBER: Final = re.compile(r"[0-9]{1,4}(\.[0-9]{1,6})?")
_CHOICES: Final = {
    "ssl_cert_reqs": {
        **{word: word for word in ("none", "optional", "required")},
        **{f"CERT_{word}": word.lower() for word in ("NONE", "OPTIONAL", "REQUIRED")},
    },
    # redis-py reads any other text as true.
    "ssl_check_hostname": {"true": "true", "True": "true", "1": "true"}
    | {"false": "false", "False": "false", "0": "false"},
}
_TRANSLATED: Final = (*_KEY_PAIR, *_SECONDS, *_CHOICES, "ssl_ca_certs")
# Options for the address and the user of the connection.
_PLACE: Final = ("db", "username", "password")
# Harmless: they only tune, or are for another client (ioredis).
_DROPPED: Final = (
    *("family", "socket_keepalive", "health_check_interval", "retry_on_timeout", "client_name"),
    *("protocol", "encoding", "decode_responses", "max_connections"),
)


def read_redis_url(text: str) -> str:
    """Return the URL in redis-py's form, with a port and only the options that it supports.

    Raises `AddressError`: one line with the remedy, without any value of the URL.
    """
    parts = split_url(text, form=FORM)
    scheme = _scheme(parts.scheme)
    options = single_options(parts.options)
    kept = {
        name: _checked(name, value, options)
        for name, value in options.items()
        if name not in _PLACE and _is_kept(name, options, tls=scheme == "rediss")
    }
    _check_files(kept)
    credentials = credentials_text(
        options.get("username") or parts.user, options.get("password", parts.password)
    )
    place = _socket(parts) if scheme == "unix" else _server(parts)
    database = _database(parts, options, in_path=scheme != "unix")
    if database and scheme == "unix":
        kept = {"db": database, **kept}
    elif database:
        place += f"/{database}"
    query = f"?{urlencode(kept)}" if kept else ""
    return f"{scheme}://{credentials}{place}{query}"


def _scheme(scheme: str) -> str:
    if any(word in scheme for word in _DISTRIBUTED):
        raise AddressError("Sentinel and cluster URLs are not supported; name one server")
    if scheme in {"http", "https"}:
        raise AddressError("this is the URL of a REST interface; use the one with rediss://")
    if scheme not in _SCHEMES:
        raise AddressError(f"it needs the form {FORM}")
    return _SCHEMES[scheme]


def _socket(parts: Parts) -> str:
    if any(host for host, _ in parts.hosts) or not parts.path:
        raise AddressError("a socket needs the form unix:///path/to/socket?db=0")
    return f"/{quote(parts.path.lstrip('/'))}"


def _server(parts: Parts) -> str:
    if len(parts.hosts) > 1:
        raise AddressError("several hosts mean a cluster, which is not supported; name one server")
    host, port = parts.hosts[0] if parts.hosts else ("", None)
    if not host or host.startswith("/"):
        raise AddressError(f"it has no host; it needs the form {FORM}")
    return host_text(host, port or PORT)


def _database(parts: Parts, options: Mapping[str, str], *, in_path: bool) -> str:
    path = parts.path.strip("/") if in_path else ""
    if path and options.get("db", path) != path:
        raise AddressError("the database is given twice, after the host and as db; keep one")
    text = path or options.get("db", "")
    return text and str(whole_number("the database (after the host, or db)", text, highest=9999))


def _is_kept(name: str, options: Mapping[str, str], *, tls: bool) -> bool:
    if name in _DROPPED:
        return False
    if name in {"ssl", "tls"}:
        raise refused_option(name, options, "not an option; the scheme rediss:// selects TLS")
    if name not in _TRANSLATED:
        raise refused_option(name, options, "unknown option; remove it")
    if name.startswith("ssl_") and not tls:
        raise AddressError(f"{name} needs TLS: rediss:// in place of redis://")
    return True


def _checked(name: str, value: str, options: Mapping[str, str]) -> str:
    if name in _SECONDS:
        if not _NUMBER.fullmatch(value) or not 0 < float(value) <= MAX_SECONDS:
            raise AddressError(f"{name} needs a number of seconds, at most {MAX_SECONDS}")
        return value
    choices = _CHOICES.get(name)
    if choices is None:
        return value
    if value not in choices:
        raise refused_option(name, options, f"must be {' or '.join(dict.fromkeys(choices))}")
    return choices[value]


def _check_files(options: Mapping[str, str]) -> None:
    """Load the files now. redis-py would at the first connection, and fail with a vague error."""
    if "ssl_ca_certs" in options:
        trust_authorities(_context(), "ssl_ca_certs", options["ssl_ca_certs"])
    if "ssl_certfile" in options or "ssl_keyfile" in options:
        certificate, key, password = map(options.get, _KEY_PAIR)
        if certificate is None:
            raise AddressError("ssl_keyfile needs ssl_certfile, the certificate that belongs to it")
        present_certificate(_context(), _KEY_PAIR, (certificate, key, password or ""))


def _context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
