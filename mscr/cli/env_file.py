"""The .env file: its path, its names, and writing generated secrets to it."""
# ruff: noqa: PLC0415

import os
import re
import secrets
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mscr.cli.faults import Fault

if TYPE_CHECKING:
    from mscr.core.config import Settings
    from mscr.project import Project

# 256 bits, the size of the hash that the keys are used with. Hexadecimal digits cannot spell any
# word of SAMPLE_WORDS, which production refuses.
SECRET_BYTES: Final = 32


def env_file(project: "Project") -> Path:
    """Return the file that `get_settings` reads."""
    return Path(os.environ.get("ENV_FILE", project.root / ".env"))


def new_secret() -> str:
    return secrets.token_hex(SECRET_BYTES)


def names_in(file: Path, settings: "type[Settings]") -> list[str]:
    """Return the names in the file, in upper case."""
    from pydantic_settings import DotEnvSettingsSource

    return [name.upper() for name in DotEnvSettingsSource(settings, env_file=file).env_vars]


def configured(name: str, project: "Project") -> str | None:
    """Return the raw value of a setting from the environment, the file or a secret file."""
    from pydantic_settings import (
        DotEnvSettingsSource,
        EnvSettingsSource,
        InitSettingsSource,
        SecretsSettingsSource,
    )

    from mscr.core.settings_sources import customized_sources

    settings = project.settings
    sources = customized_sources(
        settings,
        InitSettingsSource(settings, {}),
        EnvSettingsSource(settings),
        DotEnvSettingsSource(settings, env_file=env_file(project)),
        SecretsSettingsSource(settings),
    )
    found = (values[name] for source in sources if name in (values := source()))
    value = next(found, None)
    return value if isinstance(value, str) else None


def add_missing_secrets(file: Path, settings: "type[Settings]") -> list[str]:
    """Write generated secrets to the file, change nothing else, and return their names.

    If the file does not exist, it starts as a copy of `.env.example`. Only its owner can read it.
    Raises `Fault` for a device or a folder.
    """
    from mscr.cli.env_example import render

    missing = _missing_secrets(file, settings)
    if missing:
        if file.exists() and not file.is_file():
            # Replacing a device such as /dev/null would harm the whole machine.
            raise Fault(f"{file} is not a file that secrets can be written to", "set ENV_FILE")
        content = file.read_bytes() if file.exists() else render(settings).encode()
        _write_private(file, _with_secrets(content, missing))
    return missing


def _missing_secrets(file: Path, settings: "type[Settings]") -> list[str]:
    """Return the generated secrets that the environment, the file and secret files all lack."""
    from pydantic import ValidationError

    from mscr.cli.env_example import GENERATED_SECRETS

    try:
        settings.from_env_file(file)
    except ValidationError as error:
        missing = {fault["loc"] for fault in error.errors() if fault["type"] == "missing"}
        return [name for name in GENERATED_SECRETS if (name,) in missing]
    return []


def _with_secrets(content: bytes, names: Iterable[str]) -> bytes:
    """Return the content with new secrets. All other lines stay the same, byte for byte."""
    newline = b"\r\n" if b"\r\n" in content else b"\n"
    for name in names:
        secret = new_secret().encode()
        empty = rb"(?im)^([ \t]*(?:export[ \t]+)?%b[ \t]*=)[ \t]*(?=\r?$)" % name.encode()
        content, filled = re.subn(empty, rb"\g<1>" + secret, content, count=1)
        if not filled:
            end = b"" if content.endswith(b"\n") or not content else newline
            content += end + name.encode() + b"=" + secret + newline
    return content


def _write_private(file: Path, content: bytes) -> None:
    """Replace the file atomically. `mkstemp` creates files that only their owner can read."""
    target = file.resolve()
    descriptor, temporary = tempfile.mkstemp(prefix=".env.", dir=target.parent)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    Path(temporary).replace(target)
