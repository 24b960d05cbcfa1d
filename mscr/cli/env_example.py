"""Generate `.env.example` from the settings class: headings, descriptions, bounds, defaults."""

import inspect
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic_settings import BaseSettings

if TYPE_CHECKING:
    from mscr.core.config import Settings
    from mscr.project import Project

HEADER: Final = """\
# All settings, with their defaults. `make run` copies this file to .env, which git ignores, and
# fills in the secrets. Uncomment the settings that you change; environment variables override
# .env. Any name with the suffix _FILE is the path of a file that contains the value.
# Written by: python cli.py env-example --write
"""
# The application's own secrets. Secrets of services that it calls cannot be generated.
GENERATED_SECRETS: Final = ("SECRET_KEY", "JWT_SECRET_KEY")
ALTERNATIVES: Final = re.compile(r"\^\(([\w|]+)\)\$")


def example_file(project: "Project") -> Path:
    return project.root / ".env.example"


def render(settings: "type[Settings]") -> str:
    headings = _headings(settings)
    schema = settings.model_json_schema()
    lines = [HEADER]
    for name, facts in schema["properties"].items():
        if name in headings:
            lines.append(f"# --- {headings[name]}\n")
        lines += [f"# {' '.join(_sentences(facts, schema))}", _assignment(settings, name), ""]
    return "\n".join(lines)


def _headings(settings: "type[Settings]") -> dict[str, str]:
    """Return the `# ---` comments of the classes, by the name of the first setting below each."""
    headings: dict[str, str] = {}
    heading = ""
    for line in _source(settings):
        if found := re.fullmatch(r" {4}# --- (.+)", line):
            heading = found[1]
        elif heading and (found := re.match(r" {4}([A-Z][A-Z0-9_]*):", line)):
            headings[found[1]] = heading
            heading = ""
    return headings


def _source(settings: "type[Settings]") -> Iterator[str]:
    """Yield the source lines of the classes: base classes with settings first."""
    for kind in reversed(settings.__mro__):
        if issubclass(kind, BaseSettings) and kind is not BaseSettings:
            yield from inspect.getsource(kind).splitlines()


def _assignment(settings: "type[Settings]", name: str) -> str:
    field = settings.model_fields[name]
    if field.is_required() or name in GENERATED_SECRETS:
        return f"{name}="
    text = _as_text(field.get_default(call_default_factory=True))
    return f'# {name}="{text}"' if " " in text else f"# {name}={text}"


def _as_text(value: Any) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(_as_text, value))
    return "" if value is None else str(value)


def _sentences(facts: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    yield facts["description"]
    if choices := _choices(facts, schema):
        yield f"One of {', '.join(choices)}."
    if "minimum" in facts or "maximum" in facts:
        yield _bounds(facts.get("minimum"), facts.get("maximum"), "")
    if "minLength" in facts or "maxLength" in facts:
        yield _bounds(facts.get("minLength"), facts.get("maxLength"), " characters")


def _choices(facts: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    """Return the choices of an enum or a pattern, unless the description lists them all."""
    if "$ref" in facts:
        choices = schema["$defs"][facts["$ref"].rpartition("/")[2]]["enum"]
    else:
        pattern = ALTERNATIVES.fullmatch(facts.get("pattern", ""))
        choices = pattern[1].split("|") if pattern else []
    return [] if all(choice in facts["description"] for choice in choices) else choices


def _bounds(lowest: float | None, highest: float | None, unit: str) -> str:
    if highest is None:
        return f"At least {lowest}{unit}."
    if lowest is None:
        return f"At most {highest}{unit}."
    return f"{lowest} to {highest}{unit}."
