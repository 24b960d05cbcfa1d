"""Validators of single settings."""

import re
from typing import Final

from mscr.core.addresses import EVERYBODY, UNIX_SOCKET, parse_address, parse_network

# RFC 7518 §3.2: a key for HS256 has at least as many bits as the hash, which is 32 bytes.
MIN_SECRET_LENGTH: Final = 32

# The library's own pattern also accepts several limits, and would apply only the first.
_LIMIT: Final = re.compile(r"([0-9]+)\s*(?:/|per)\s*([0-9]*)\s*([a-z]+)", re.IGNORECASE)
_LIMIT_UNITS: Final = ("second", "minute", "hour", "day", "month", "year")
MAX_LIMIT_AMOUNT: Final = 999_999_999
# Windows are counted in seconds, which do not overflow for this many of any unit.
MAX_LIMIT_UNITS: Final = 999_999

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

# Unreserved characters (RFC 3986 §2.3): no proxy changes them by encoding or decoding.
_PATH_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")


def check_proxy(value: str) -> str:
    """Return an address or network in canonical form, or `unix`, or `*`.

    Raises `ValueError` for anything else. Host names are refused: requests come from addresses.
    """
    if value in {EVERYBODY, UNIX_SOCKET}:
        return value
    try:
        return str(parse_network(value) if "/" in value else parse_address(value))
    except ValueError:
        raise ValueError(
            "needs addresses or networks, comma-separated, as in 10.0.0.1,172.16.0.0/12; host "
            "names are not supported"
        ) from None


def check_header_name(name: str) -> str:
    """Raise `ValueError` for anything but the name of a header (RFC 9110 §5.1)."""
    if name == "*" or not _HEADER_NAME.fullmatch(name):
        raise ValueError("needs names of headers, comma-separated; * is not supported")
    return name


def check_path_prefix(value: str) -> str:
    """Return a valid path prefix unchanged. Raises `ValueError` for anything else."""
    segments = value.split("/")
    if value and (not _PATH_PREFIX.fullmatch(value) or {".", ".."} & set(segments)):
        raise ValueError(
            "needs the form /svc: it starts with a slash and ends without one, has no .. and no "
            "query"
        )
    return value


def check_limit(value: str) -> str:
    """Raise `ValueError` unless the value is a single limit that allows at least one request."""
    found = _LIMIT.fullmatch(value)
    if found is None:
        raise ValueError("needs one limit of the form 5/15 minutes")
    amount, units, unit = found.groups()
    if unit.lower().removesuffix("s") not in _LIMIT_UNITS:
        raise ValueError(f"the window's unit must be one of {', '.join(_LIMIT_UNITS)}")
    if not _is_between(amount, MAX_LIMIT_AMOUNT):
        raise ValueError(f"the amount must be from 1 to {MAX_LIMIT_AMOUNT}")
    if units and not _is_between(units, MAX_LIMIT_UNITS):
        raise ValueError(f"the window must be from 1 to {MAX_LIMIT_UNITS} units")
    return value


def _is_between(digits: str, highest: int) -> bool:
    # Python refuses to convert thousands of digits.
    return len(digits) <= len(str(highest)) and 1 <= int(digits) <= highest
