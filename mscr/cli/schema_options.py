"""Options of a command for the fields of a schema, derived when the command runs."""
# ruff: noqa: PLC0415

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer
from typer.core import TyperCommand
from typer.main import get_command

from mscr.cli.faults import Fault, validation_faults

if TYPE_CHECKING:
    from pydantic import BaseModel

S = TypeVar("S", bound="BaseModel")

_TEXTS: Final = "texts"


def schema_command(
    schema: Callable[[], "type[BaseModel]"], *, without: frozenset[str]
) -> type[TyperCommand]:
    """Return the `cls=` of a command with an option for each field of a schema, except these.

    The options are read when the command, or its `--help`, is called: other commands do not import
    the schema. `texts_of` returns their values.
    """

    class SchemaCommand(TyperCommand):
        @cached_property
        def _options(self) -> list[Any]:
            return _options_of(schema(), without)

        def get_params(self, ctx: Any) -> list[Any]:
            return [*self._options, *super().get_params(ctx)]

        def invoke(self, ctx: Any) -> Any:
            ctx.meta[_TEXTS] = {each.name: ctx.params.pop(each.name) for each in self._options}
            return super().invoke(ctx)

    return SchemaCommand


def texts_of(context: typer.Context) -> dict[str, str | None]:
    """Return the value of each option as typed, by the field's name. None is an absent option."""
    texts: dict[str, str | None] = context.meta[_TEXTS]
    return texts


def prompted(schema: "type[BaseModel]", texts: Mapping[str, str | None]) -> dict[str, str | None]:
    """Prompt for the absent ones. An empty input leaves an optional field out."""
    answers = dict(texts)
    for name in (name for name, text in texts.items() if text is None):
        label = name.replace("_", " ").capitalize()
        if schema.model_fields[name].is_required():
            answers[name] = typer.prompt(label)
        else:
            answer = typer.prompt(f"{label} (optional)", default="", show_default=False)
            answers[name] = answer or None
    return answers


def require_options(schema: "type[BaseModel]", texts: Mapping[str, str | None], by: str) -> None:
    """Raise `BadParameter` for an absent option that a field requires; `by` is why."""
    for name, text in texts.items():
        if text is None and schema.model_fields[name].is_required():
            hint = f"--{name.replace('_', '-')}"
            raise typer.BadParameter(f"required with {by}", param_hint=hint)


def validated(schema: type[S], texts: Mapping[str, str | None], **values: str) -> S:
    """Return the schema with these values. Raises `Fault`, which names each fault in one line."""
    typed = {name: text for name, text in texts.items() if text is not None}
    for name, text in (typed | values).items():
        if not _is_unicode(text):
            raise Fault(f"{name}: the input is not UTF-8 text")
    given = {name: _read(schema, name, text) for name, text in typed.items()}
    with validation_faults():
        return schema.model_validate_json(json.dumps(given | values))


def _is_unicode(text: str) -> bool:
    """Return whether a text has no lone surrogates: Python decodes bytes that are not UTF-8 so."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _read(schema: "type[BaseModel]", name: str, text: str) -> Any:
    """Return the text itself for a field of texts, and for others its value in JSON."""
    from pydantic import TypeAdapter

    described = TypeAdapter(schema.model_fields[name].rebuild_annotation()).json_schema()
    kinds = [described, *described.get("anyOf", ())]
    if any(kind.get("type") == "string" or "enum" in kind or "$ref" in kind for kind in kinds):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text  # the schema's own fault names the type


def _options_of(schema: "type[BaseModel]", left_out: frozenset[str]) -> list[Any]:
    names = [name for name in schema.model_fields if name not in left_out]
    # Typer makes options from the signature of a function only.
    parameters = [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[str | None, typer.Option(help=_help(schema, name))],
        )
        for name in names
    ]

    def fields(**_: str) -> None:
        """Only the signature is read."""

    fields.__dict__["__signature__"] = Signature(parameters)
    fields.__annotations__ = {each.name: each.annotation for each in parameters}
    app = typer.Typer(add_completion=False)
    app.command()(fields)
    return [param for param in get_command(app).params if param.name in names]


def _help(schema: "type[BaseModel]", name: str) -> str:
    field = schema.model_fields[name]
    words = field.description or f"{name.replace('_', ' ').capitalize()} of the account."
    return words if field.is_required() else f"{words.rstrip('.')} (optional)."
