"""Parameters that a dependency reads by itself, and how OpenAPI comes to know of them.

What the framework declares it also takes apart with each request, type by type: the query of a
list takes longer for that than for being answered. So what most requests have is read here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeVar

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ValidationError
from starlette.routing import BaseRoute

from app.core.openapi_schemas import REFERENCE, Schema
from app.core.validation import TEXTS

CallableT = TypeVar("CallableT", bound=Callable[..., Any])

# The name of the attribute that a dependency has it in.
_DOCUMENTED: Final = "documented_parameters"
_AFTER: Final = ("requestBody", "responses")


@dataclass(frozen=True, slots=True)
class _Documented:
    """Parameter Objects of OpenAPI, and the schemas that they refer to."""

    parameters: Sequence[Schema]
    schemas: Mapping[str, Schema]


def documents(
    parameters: Iterable[Schema], schemas: Mapping[str, Schema] = MappingProxyType({})
) -> Callable[[CallableT], CallableT]:
    """Decorates a dependency that reads these parameters, Parameter Objects of OpenAPI."""

    def document(dependency: CallableT) -> CallableT:
        setattr(dependency, _DOCUMENTED, _Documented(tuple(parameters), schemas))
        return dependency

    return document


def header_parameter(name: str, description: str, schema: Schema) -> Schema:
    shown = {**schema, "description": description, "title": name}
    return {
        "name": name,
        "in": "header",
        "required": False,
        "schema": shown,
        "description": description,
    }


def query_of(model: type[BaseModel]) -> Any:
    """Annotates the model of a query, in place of `Query()`.

    Its use: `Annotated[ItemListQuery, query_of(ItemListQuery)]`. Of what is sent several times, the
    last counts, unless the field is a list. Behind the caller's parameter, or whoever has no token
    is told what is wrong with the query.
    """
    schema = model.model_json_schema(ref_template=REFERENCE)
    lists = {name for name, field in schema["properties"].items() if _is_list(field)}

    @documents(_query_parameters(schema), schema.get("$defs", {}))
    async def read_query(request: Request) -> BaseModel:
        sent: dict[str, Any] = {}
        for name, value in request.query_params.multi_items():
            if name in lists:
                sent.setdefault(name, []).append(value)
            else:
                sent[name] = value
        try:
            return model.model_validate(sent, context=TEXTS)
        except ValidationError as error:
            faults = error.errors(include_url=False)
            raise RequestValidationError(
                [{**fault, "loc": ("query", *fault["loc"])} for fault in faults]
            ) from None

    return Depends(read_query)


def _is_list(field: Schema) -> bool:
    return any(choice.get("type") == "array" for choice in (field, *field.get("anyOf", ())))


def _query_parameters(schema: Schema) -> Iterator[Schema]:
    for name, field in schema["properties"].items():
        told = {"description": field["description"]} if "description" in field else {}
        required = name in schema.get("required", ())
        # What is null when it is not sent cannot be sent so.
        shown = {key: value for key, value in field.items() if (key, value) != ("default", None)}
        yield {"name": name, "in": "query", "required": required, "schema": shown, **told}


def document_parameters(openapi: Schema, routes: Sequence[BaseRoute]) -> None:
    """Add what the routes' dependencies read by themselves."""
    schemas = openapi["components"]["schemas"]
    for route in iter_route_contexts(routes):
        operations = openapi["paths"].get(route.path, {})
        for method in route.methods or ():
            if (operation := operations.get(method.lower())) is not None:
                for documented in _documented(route.dependant):
                    _add_parameters(operation, documented.parameters)
                    schemas.update(documented.schemas)


def _add_parameters(operation: Schema, parameters: Sequence[Schema]) -> None:
    # Where the framework has them, so that whoever compares two documents sees what changed.
    after: Schema = {name: operation.pop(name) for name in _AFTER if name in operation}
    known = operation.get("parameters", [])
    names = {(each["name"], each["in"]) for each in known}
    # A dependency that is reached in several ways is read once.
    new = [each for each in parameters if (each["name"], each["in"]) not in names]
    operation["parameters"] = [*known, *new]
    operation.update(after)


def _documented(dependant: Dependant) -> Iterator[_Documented]:
    if (found := getattr(dependant.call, _DOCUMENTED, None)) is not None:
        yield found
    for dependency in dependant.dependencies:
        yield from _documented(dependency)
