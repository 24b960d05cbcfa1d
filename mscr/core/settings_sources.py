"""Where settings come from: the environment, `.env`, and files that hold one value each.

Precedence, the first that has a value: arguments of the call; the environment (NAME, or NAME_FILE
with the path of a file); `.env` (the same two); a file NAME in systemd's credentials directory; a
file NAME in the directory of secrets; the default.

Surrounding whitespace is removed from every value, and a value that is empty then counts as unset.
A source that cannot be used is a `SourceError` in the place of the value; `refuse_unreadable`, as a
validator of all fields, turns it into an error of the setting.
"""

import os
import stat
from pathlib import Path
from typing import Any, Final

from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
)

# systemd names it by this variable (systemd.exec, LoadCredential=).
CREDENTIALS_DIRECTORY: Final = "CREDENTIALS_DIRECTORY"
FILE_SUFFIX: Final = "_file"
# More than any key or list of keys has.
MAX_BYTES: Final = 65_536
# What `str.strip` leaves: invisible characters that come along with a copied value.
_INVISIBLE: Final = "\ufeff\u200b\u2060"


class SourceError(ValueError):
    """Takes the place of a value that could not be read; it does not quote the value."""


def customized_sources(
    settings_cls: type[BaseSettings],
    arguments: PydanticBaseSettingsSource,
    environment: PydanticBaseSettingsSource,
    dotenv: PydanticBaseSettingsSource,
    secrets: PydanticBaseSettingsSource,
) -> tuple[PydanticBaseSettingsSource, ...]:
    """Return what `settings_customise_sources` is to return, given its arguments."""
    directories = [os.environ.get(CREDENTIALS_DIRECTORY)]
    if isinstance(secrets, SecretsSettingsSource) and secrets.secrets_dir is not None:
        directories.append(str(secrets.secrets_dir))
    found = [
        {name: stripped(value) for name, value in arguments().items()},
        _from_variables(settings_cls, environment),
        _from_variables(settings_cls, dotenv),
        *(_from_directory(settings_cls, Path(path)) for path in directories if path),
    ]
    return tuple(InitSettingsSource(settings_cls, init_kwargs=values) for values in found)


def refuse_unreadable(value: Any) -> Any:
    """Raise a value that is a `SourceError`; return any other one."""
    if isinstance(value, SourceError):
        raise value
    return value


def stripped(value: Any) -> Any:
    """Return text without surrounding whitespace and invisible characters."""
    if not isinstance(value, str):
        return value
    while value != (shorter := value.strip().strip(_INVISIBLE)):
        value = shorter
    return value


def read_value(file: Path) -> str | SourceError:
    """Return the stripped text of a file that holds one value."""
    try:
        # Opening a pipe or a device could wait, or never end.
        if not stat.S_ISREG(file.stat().st_mode):
            return SourceError(f"{file} is not a file")
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
        text = content.decode()
    except UnicodeDecodeError:
        return SourceError(f"{file} is not UTF-8 text")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a file name"
        return SourceError(f"cannot read {file}: {reason}")
    if len(content) > MAX_BYTES:
        return SourceError(f"{file} is larger than {MAX_BYTES} bytes")
    return str(stripped(text)) or SourceError(f"{file} is empty")


def _from_variables(
    settings_cls: type[BaseSettings], source: PydanticBaseSettingsSource
) -> dict[str, Any]:
    values = {name: stripped(value) for name, value in source().items()}
    values = {name: value for name, value in values.items() if value != ""}
    variables = source.env_vars if isinstance(source, EnvSettingsSource) else {}
    for name in settings_cls.model_fields:
        if path := stripped(variables.get(name.lower() + FILE_SUFFIX)):
            variable = f"{name}{FILE_SUFFIX.upper()}"
            set_twice = SourceError(f"{variable} is set too; keep one of them")
            values[name] = set_twice if name in values else _read_named(Path(path), variable)
    return values


def _from_directory(
    settings_cls: type[BaseSettings], directory: Path
) -> dict[str, str | SourceError]:
    """Read the files that are named after settings, in capitals or not."""
    try:
        files = {file.name.lower(): file for file in sorted(directory.iterdir())}
    except FileNotFoundError:
        return {}
    return {
        name: read_value(files[name.lower()])
        for name in settings_cls.model_fields
        if name.lower() in files
    }


def _read_named(file: Path, variable: str) -> str | SourceError:
    value = read_value(file)
    return SourceError(f"{value} ({variable})") if isinstance(value, SourceError) else value
