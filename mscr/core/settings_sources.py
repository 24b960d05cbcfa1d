"""The sources of settings: the environment, `.env`, and files that contain one value each.

The first of these that has a value wins: arguments of the call; the environment (NAME, or
NAME_FILE with the path of a file); `.env` (the same two); a file NAME in systemd's credentials
directory; a file NAME in the directory of secrets; the default.

Surrounding whitespace is removed from every value; an empty value counts as unset. An unusable
source yields a `SourceError` in place of the value. `refuse_unreadable`, a validator of all
fields, turns it into an error of the setting.
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

# The variable in which systemd passes the directory (systemd.exec, LoadCredential=).
CREDENTIALS_DIRECTORY: Final = "CREDENTIALS_DIRECTORY"
FILE_SUFFIX: Final = "_file"
# Larger than any key or list of keys.
MAX_BYTES: Final = 65_536
# Invisible characters that are copied along with a value, and that `str.strip` keeps.
_INVISIBLE: Final = "\ufeff\u200b\u2060"


class SourceError(ValueError):
    """Stands for a value that could not be read. The message does not quote the value."""


def customized_sources(
    settings_cls: type[BaseSettings],
    arguments: PydanticBaseSettingsSource,
    environment: PydanticBaseSettingsSource,
    dotenv: PydanticBaseSettingsSource,
    secrets: PydanticBaseSettingsSource,
) -> tuple[PydanticBaseSettingsSource, ...]:
    """Return the result of `settings_customise_sources`, given its arguments."""
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
    """Raise the value if it is a `SourceError`; otherwise return it."""
    if isinstance(value, SourceError):
        raise value
    return value


def stripped(value: Any) -> Any:
    """Strip surrounding whitespace and invisible characters from text."""
    if not isinstance(value, str):
        return value
    while value != (shorter := value.strip().strip(_INVISIBLE)):
        value = shorter
    return value


def read_value(file: Path) -> str | SourceError:
    """Return the stripped text of a file that contains one value."""
    try:
        # Opening a pipe or a device could block.
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
            set_twice = SourceError(f"{variable} is also set; keep one of them")
            values[name] = set_twice if name in values else _read_named(Path(path), variable)
    return values


def _from_directory(
    settings_cls: type[BaseSettings], directory: Path
) -> dict[str, str | SourceError]:
    """Read the files that are named after settings, ignoring case."""
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
