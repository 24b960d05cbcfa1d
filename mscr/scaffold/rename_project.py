"""Compute the changes that give a project another name."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from mscr.scaffold.changes import Changes
from mscr.scaffold.trial import output_after

# Texts in double quotes hold it unchanged, in Python, TOML and a Dockerfile.
_NAME: Final = re.compile(r'[^\s"\\$](?:[^\x00-\x1f"\\$]{0,78}[^\s"\\$])?')
_DEFAULT: Final = re.compile(r'(\bAPP_NAME: str = Field\(\s*default=)"[^"]*"')


class UnusableNameError(Exception):
    """Why a project cannot have this name."""


def slug_of(name: str) -> str:
    """Return the form of the name for package indexes: `Blue Shop` is `blue-shop`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


# By file: the texts that hold the name, and the texts with a new one.
_PLACES: Final[Mapping[str, Mapping[str, Callable[[str], str]]]] = {
    "README.md": {r"\A# .+": lambda name: f"# {name}"},
    "pyproject.toml": {r'^name = "[^"]*"': lambda name: f'name = "{slug_of(name)}"'},
    "deploy/Dockerfile": {
        r'\bimage\.title="[^"]*"': lambda name: f'image.title="{slug_of(name)}"',
        r'\bimage\.description="[^"]*"': lambda name: f'image.description="{name}"',
    },
    # systemd replaces single percent signs.
    "deploy/backend.service": {
        r"^Description=.*": lambda name: f"Description={name.replace('%', '%%')}"
    },
}


def rename(root: Path, package: str, name: str) -> Changes:
    """Return the changes. Raises `UnusableNameError` and `FailedTrialError`."""
    if not _NAME.fullmatch(name) or not slug_of(name):
        raise UnusableNameError(
            "a name has a letter or digit, at most 80 characters, and no quotes, $ or backslashes"
        )
    changes = Changes(root)
    settings = f"{package}/core/config.py"
    text, found = _DEFAULT.subn(
        lambda default: f'{default[1]}"{name}"', changes.read(settings) or "", count=1
    )
    if not found:
        raise UnusableNameError(
            f"{settings} has no APP_NAME: copy its field from mscr/core/settings_fields.py"
        )
    changes.write(settings, text)
    for file, places in _PLACES.items():
        _replace(changes, file, places, name)
    for file, command in ((".env.example", "env-example"), ("openapi.json", "openapi")):
        changes.write(file, output_after(changes, package, command))
    return changes


def _replace(
    changes: Changes, file: str, places: Mapping[str, Callable[[str], str]], name: str
) -> None:
    """Replace the name in a file, which the owner may have removed."""
    text = changes.read(file)
    if text is None:
        return
    for place, text_with in places.items():
        # A name has no backslashes, which `sub` would interpret.
        text = re.sub(place, text_with(name), text, count=1, flags=re.MULTILINE)
    changes.write(file, text)
