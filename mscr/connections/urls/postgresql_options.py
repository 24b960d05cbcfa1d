"""Options of PostgreSQL URLs: translate, drop or refuse each one."""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mscr.connections.urls.certificates import MODES, SECURE, tls_context
from mscr.connections.urls.parts import AddressError, refused_option, whole_number

MAX_CONNECT_SECONDS: Final = 600

# Names of other clients (SQLAlchemy, JDBC, Prisma) for libpq's options.
SAME: Final = {
    "ssl": "sslmode",
    "currentSchema": "search_path",
    "schema": "search_path",
    "timeout": "connect_timeout",
    "database": "dbname",
}
# TLS modes of other clients (node-postgres).
_OTHER_MODES: Final = {"no-verify": "require", "false": "disable", "0": "disable"}
_PUBLIC_TLS: Final = ("true", "1")
_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_TRANSLATED: Final = {
    *_FILES,
    *("sslmode", "sslpassword", "ssl_min_protocol_version", "ssl_max_protocol_version"),
    *("sslnegotiation", "connect_timeout", "application_name", "options", "search_path"),
    *("target_session_attrs", "statement_cache_size", "prepared_statement_cache_size"),
    *("passfile", "pgbouncer"),
}
# Options for the address and the user of the connection.
PLACE: Final = ("host", "port", "user", "password", "dbname")
# Harmless with these values, or with any (None): asyncpg does the same, or they only tune.
_DROPPED: Final[dict[str, tuple[str, ...] | None]] = {
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer"),
    "sslcompression": None,
    "sslsni": ("1",),
    "sslcertmode": ("allow",),
    "load_balance_hosts": ("disable",),
    "client_encoding": ("auto", "utf8", "utf-8", "UTF8", "UTF-8", "unicode"),
    "min_protocol_version": ("3.0",),
    "max_protocol_version": None,
    "fallback_application_name": None,
    "keepalives": None,
    "keepalives_idle": None,
    "keepalives_interval": None,
    "keepalives_count": None,
    "tcp_user_timeout": None,
    "uselibpqcompat": None,
    "supa": None,
}
# Options of libpq that asyncpg does not support.
_UNMET: Final = {
    *("hostaddr", "service", "servicefile", "require_auth", "requirepeer", "replication"),
    *("krbsrvname", "gsslib", "gssdelegation", "sslcrldir", "sslkeylogfile", "requiressl"),
}
_TARGETS: Final = ("any", "read-write", "read-only", "primary", "standby", "prefer-standby")
_WRITING: Final = ("any", "read-write", "primary")
# asyncpg evaluates read-write and read-only by the setting that makes our reading sessions
# read-only. For those, these values check whether the server is a standby instead.
_READING: Final = {"read-write": "primary", "read-only": "standby"}
_GUC: Final = re.compile(r"(?:-c\s*|--)([A-Za-z_][\w.-]*)=(.*)", re.DOTALL)
# Routing words that Neon's proxy reads, and no server.
_ROUTING: Final = re.compile(r"(endpoint|project)=[\w.-]+")


def usable_options(options: Mapping[str, str], governed: Mapping[str, str]) -> dict[str, str]:
    """Return the options that are translated, with the TLS mode as `ssl`.

    `governed` maps options and server settings that must not be in a URL to the remedy. Raises
    `AddressError` for those, and for options that are unknown or cannot be met.
    """
    kept = {
        name: value
        for name, value in options.items()
        if name not in PLACE and _is_kept(name, value, options, governed)
    }
    kept |= _named_tls(kept, binding=options.get("channel_binding") == "require")
    for name in _server_settings(kept).keys() & governed.keys():
        raise AddressError(f"options: {name} does not belong in the URL; {governed[name]}")
    if mode := kept.pop("sslmode", None):
        # SQLAlchemy's name, so that its engines accept a URL with only this option unchanged.
        kept["ssl"] = mode
    return kept


def connect_arguments(options: Mapping[str, str], *, read_only: bool) -> dict[str, Any]:
    """Return arguments of `asyncpg.connect`, always with `server_settings`.

    Raises `AddressError` for invalid values.
    """
    arguments: dict[str, Any] = {"server_settings": _server_settings(options)}
    arguments |= _tls_arguments(options)
    # 0 means no timeout to libpq. Here, the default timeout stays in force.
    if seconds := _number(options, "connect_timeout", highest=MAX_CONNECT_SECONDS):
        arguments["timeout"] = seconds
    for name in ("statement_cache_size", "prepared_statement_cache_size"):
        if name in options:
            arguments[name] = _number(options, name)
    # asyncpg would apply the variable unchecked, and to reading connections too.
    if target := options.get("target_session_attrs", os.environ.get("PGTARGETSESSIONATTRS")):
        arguments["target_session_attrs"] = _target(target, read_only=read_only)
    if "passfile" in options:
        arguments["passfile"] = options["passfile"]
    return arguments


def require_writing_target(options: Mapping[str, str]) -> None:
    """Raise `AddressError` if the options select a server that does not accept writes."""
    target = options.get("target_session_attrs", "any")
    if target not in _WRITING:
        raise AddressError(
            f"target_session_attrs={target} selects a server for reading, but this one must accept "
            f"writes; use read-write, or configure such a server as the replica"
        )


def _is_kept(
    name: str, value: str, options: Mapping[str, str], governed: Mapping[str, str]
) -> bool:
    if name in governed:
        raise AddressError(f"{name} does not belong in the URL; {governed[name]}")
    if name in _TRANSLATED:
        return True
    if name in _UNMET:
        raise refused_option(name, options, "the driver (asyncpg) cannot do this; remove it")
    if name not in _DROPPED:
        reason = f"unknown option; a server setting needs the form options=-c%20{name}=…"
        raise refused_option(name, options, reason)
    harmless = _DROPPED[name]
    if harmless is not None and value not in harmless:
        raise refused_option(name, options, f"only {' or '.join(harmless)} can be met")
    return False


def _named_tls(options: Mapping[str, str], *, binding: bool) -> dict[str, str]:
    """Return `sslmode` with a value of libpq.

    asyncpg does not support channel binding. A URL that requires it gets TLS at least, but only a
    verified certificate gives the same protection.
    """
    mode = options.get("sslmode")
    if mode in _PUBLIC_TLS:
        return {"sslmode": "verify-full", "sslrootcert": options.get("sslrootcert", "system")}
    if mode is None and options.get("sslrootcert") == "system":
        return {"sslmode": "verify-full"}
    mode = _OTHER_MODES.get(mode or "", mode)
    if binding and mode == "disable":
        raise AddressError("channel_binding=require needs TLS, and sslmode=disable forbids it")
    if binding and mode in {None, "allow", "prefer"}:
        mode = "require"
    if mode is not None and mode not in MODES:
        raise AddressError(f"sslmode must be one of {', '.join(MODES)}")
    if mode not in SECURE and (unused := options.keys() & {*_FILES, "sslpassword"}):
        raise AddressError(f"{min(unused)} is only used with sslmode={', '.join(SECURE)}")
    return {} if mode is None else {"sslmode": mode}


def _tls_arguments(options: Mapping[str, str]) -> dict[str, Any]:
    mode = options.get("sslmode")
    negotiation = options.get("sslnegotiation", "postgres")
    if negotiation not in {"postgres", "direct"}:
        raise AddressError("sslnegotiation must be postgres or direct")
    if negotiation == "direct" and mode not in SECURE:
        raise AddressError("sslnegotiation=direct needs sslmode=require, verify-ca or verify-full")
    direct = {"direct_tls": True} if negotiation == "direct" else {}
    if mode is None:
        return {}
    # asyncpg handles `allow` and `prefer` itself, which may fall back to no TLS.
    return {"ssl": tls_context(mode, options) if mode in SECURE else mode, **direct}


def _server_settings(options: Mapping[str, str]) -> dict[str, str]:
    settings = {
        name: options[name] for name in ("application_name", "search_path") if options.get(name)
    }
    routing = []
    for word in _words(options.get("options", "")):
        if _ROUTING.fullmatch(word):
            routing.append(word)
        elif found := _GUC.fullmatch(word):
            settings[found[1].lower().replace("-", "_")] = found[2]
        else:
            raise AddressError("options needs the form -c%20name=value")
    if settings.pop("client_encoding", "utf8").lower().replace("-", "") != "utf8":
        raise AddressError("options: client_encoding must be UTF8")
    return settings | ({"options": " ".join(routing)} if routing else {})


def _words(text: str) -> Iterator[str]:
    """Split at unescaped spaces, as PostgreSQL does. `-c x=1` is one word."""
    joined = re.sub(r"(?<!\S)-c\s+", "-c", text.replace("+", " ").strip())
    for word in re.findall(r"(?:\\.|[^\s\\])+", joined):
        yield re.sub(r"\\(.)", r"\1", word)


def _number(options: Mapping[str, str], name: str, *, highest: int = 100_000) -> int:
    # asyncpg's own URLs accept fractions of a second; libpq's do not.
    return whole_number(name, options.get(name, "0"), highest=highest)


def _target(target: str, *, read_only: bool) -> str:
    if target not in _TARGETS:
        raise AddressError(f"target_session_attrs must be one of {', '.join(_TARGETS)}")
    return _READING.get(target, target) if read_only else target
