"""SQLite URLs: a file, and options that change nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL

from mscr.connections.urls.parts import AddressError, Parts, refused_option, single_options

DRIVER: Final = "sqlite+aiosqlite"
FORM: Final = "sqlite+aiosqlite:///./app.db, or ////var/lib/app.db for an absolute path"
# Harmless with these values, which are the driver's defaults, or with any (None).
_DROPPED: Final[dict[str, tuple[str, ...] | None]] = {
    "check_same_thread": None,
    "uri": None,
    "mode": ("rwc",),
    "cache": ("private",),
}


def read_sqlite_url(parts: Parts, governed: Mapping[str, str], *, root: Path) -> URL:
    """Return the URL of a file; a relative path starts at `root`. Raises `AddressError`.

    `governed` maps options that must not be in a URL to the remedy.
    """
    options = single_options(parts.options)
    for name, value in options.items():
        _check_option(name, value, options, governed)
    if parts.hosts or parts.user or parts.password:
        raise AddressError(f"SQLite has no host: three slashes, as in {FORM}")
    path = parts.path.removeprefix("file:") if "uri" in options else parts.path
    if path in {"", ":memory:"}:
        # Reads and writes have separate connections, and each would see its own empty database.
        raise AddressError(f"SQLite needs a file: {FORM}")
    file = root / path
    if _is_folder(file):
        raise AddressError(f"SQLite needs a file, and {file} is a folder")
    return URL.create(DRIVER, database=str(file))


def _is_folder(file: Path) -> bool:
    try:
        return file.is_dir()
    except OSError as error:
        # A parent folder is not accessible, or the name is too long.
        raise AddressError(f"cannot use {file}: {error.strerror}") from None


def _check_option(
    name: str, value: str, options: Mapping[str, str], governed: Mapping[str, str]
) -> None:
    if name in governed:
        raise AddressError(f"{name} does not belong in the URL; {governed[name]}")
    if name not in _DROPPED:
        raise refused_option(name, options, "unknown option; remove it")
    harmless = _DROPPED[name]
    if harmless is not None and value not in harmless:
        raise refused_option(name, options, f"only {' or '.join(harmless)} is possible; remove it")
