"""`.env.example`, made from the settings class: its headings, descriptions, bounds and defaults."""

import inspect
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, Final

from app.cli.env_file import GENERATED_SECRETS
from app.core.config import PROJECT_ROOT, Settings

EXAMPLE: Final = PROJECT_ROOT / ".env.example"

HEADER: Final = """\
# All settings, with their defaults. `make run` copies this file to .env, which git ignores, and
# fills in the secrets. Uncomment what you change; environment variables win over .env. Any name
# with _FILE behind it is the path of a file that holds the value.
# Written by: python cli.py env-example --write
"""
ALTERNATIVES: Final = re.compile(r"\^\(([\w|]+)\)\$")


def render() -> str:
    headings = _headings()
    schema = Settings.model_json_schema()
    lines = [HEADER]
    for name, facts in schema["properties"].items():
        if name in headings:
            lines.append(f"# --- {headings[name]}\n")
        lines += [f"# {' '.join(_sentences(facts, schema))}", _assignment(name), ""]
    return "\n".join(lines)


def _headings() -> dict[str, str]:
    """The `# ---` comments of the class, each by the name of the first setting below it."""
    headings: dict[str, str] = {}
    heading = ""
    for line in inspect.getsource(Settings).splitlines():
        if found := re.fullmatch(r" {4}# --- (.+)", line):
            heading = found[1]
        elif heading and (found := re.match(r" {4}([A-Z][A-Z0-9_]*):", line)):
            headings[found[1]] = heading
            heading = ""
    return headings


def _assignment(name: str) -> str:
    field = Settings.model_fields[name]
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
    """What an enum or a pattern of alternatives allows, unless the description says so."""
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
