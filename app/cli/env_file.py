"""The .env file: where it is, what it says, and how generated secrets come into it."""
# ruff: noqa: PLC0415

import os
import re
import secrets
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from app.cli.faults import Fault
from app.core.config import PROJECT_ROOT, Settings

# Secrets of this application's own. Another one, of a service that it calls, cannot be made up.
GENERATED_SECRETS: Final = ("SECRET_KEY", "JWT_SECRET_KEY")
# 256 bits: as many as the hash that the keys are used with. In hexadecimal digits, which spell
# none of the words that production takes for a sample.
SECRET_BYTES: Final = 32


def env_file() -> Path:
    """The file that `get_settings` reads."""
    return Path(os.environ.get("ENV_FILE", PROJECT_ROOT / ".env"))


def new_secret() -> str:
    return secrets.token_hex(SECRET_BYTES)


def names_in(file: Path) -> list[str]:
    """The names that have a value in the file, in the case of settings."""
    from pydantic_settings import DotEnvSettingsSource

    return [name.upper() for name in DotEnvSettingsSource(Settings, env_file=file).env_vars]


def configured(name: str) -> str | None:
    """Return one setting as the environment, the file or a secret has it, before validation."""
    from pydantic_settings import (
        DotEnvSettingsSource,
        EnvSettingsSource,
        InitSettingsSource,
        SecretsSettingsSource,
    )

    from app.core.settings_sources import customized_sources

    sources = customized_sources(
        Settings,
        InitSettingsSource(Settings, {}),
        EnvSettingsSource(Settings),
        DotEnvSettingsSource(Settings, env_file=env_file()),
        SecretsSettingsSource(Settings),
    )
    found = (values[name] for source in sources if name in (values := source()))
    value = next(found, None)
    return value if isinstance(value, str) else None


def add_missing_secrets(file: Path) -> list[str]:
    """Write generated secrets into the file, and nothing else; return their names.

    A file that does not exist starts as `.env.example`. Only its owner can read the result.
    Raises `Fault` for a device or a folder.
    """
    from app.cli.env_example import render

    missing = _missing_secrets(file)
    if missing:
        if file.exists() and not file.is_file():
            # Replacing /dev/null, of all, would harm more than this application.
            raise Fault(f"{file} is no file that secrets could be written to", "set ENV_FILE")
        content = file.read_bytes() if file.exists() else render().encode()
        _write_private(file, _with_secrets(content, missing))
    return missing


def _missing_secrets(file: Path) -> list[str]:
    """Those that neither the environment, nor the file, nor a secret file gives."""
    from pydantic import ValidationError

    try:
        Settings(_env_file=file)
    except ValidationError as error:
        missing = {fault["loc"] for fault in error.errors() if fault["type"] == "missing"}
        return [name for name in GENERATED_SECRETS if (name,) in missing]
    return []


def _with_secrets(content: bytes, names: Iterable[str]) -> bytes:
    """Every other line stays as it is, to the byte."""
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
    """Put the whole content in place at once. `mkstemp` makes files that only the owner reads."""
    target = file.resolve()
    descriptor, temporary = tempfile.mkstemp(prefix=".env.", dir=target.parent)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    Path(temporary).replace(target)
