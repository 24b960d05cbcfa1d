"""Parameters that a dependency reads itself, and their documentation in OpenAPI.

FastAPI parses declared parameters type by type in each request. For the query of a list, that takes
longer than the rest of the request. The parameters of most requests are therefore read here.
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

from mscr.core.exceptions import APIError
from mscr.http.openapi_schemas import REFERENCE, Schema
from mscr.schemas.validation import TEXTS

CallableT = TypeVar("CallableT", bound=Callable[..., Any])

# The attribute of a dependency that holds its `Documented`.
_DOCUMENTED: Final = "documented_parameters"
_AFTER: Final = ("requestBody", "responses")


# The parameters of a route, by its method and path.
ParametersOf = Callable[[str, str], Sequence[Schema]]


@dataclass(frozen=True, slots=True)
class Documented:
    """The documentation that a dependency adds to its routes.

    It has Parameter Objects of OpenAPI, the schemas that they refer to, errors, and the headers of
    responses by status.
    """

    parameters: ParametersOf
    schemas: Mapping[str, Schema]
    errors: Sequence[type[APIError]]
    headers: Mapping[str, Schema]


def documents(
    parameters: Iterable[Schema] | ParametersOf,
    schemas: Mapping[str, Schema] = MappingProxyType({}),
    *,
    errors: Sequence[type[APIError]] = (),
    headers: Mapping[str, Schema] = MappingProxyType({}),
) -> Callable[[CallableT], CallableT]:
    """Decorate a dependency that reads these parameters, Parameter Objects of OpenAPI.

    They may depend on the method and the path of a route. `errors` are those that it raises.
    `headers` maps statuses to the headers of the responses with that status.
    """
    parameters_of = parameters if callable(parameters) else _always(tuple(parameters))

    def document(dependency: CallableT) -> CallableT:
        setattr(dependency, _DOCUMENTED, Documented(parameters_of, schemas, errors, headers))
        return dependency

    return document


def _always(parameters: Sequence[Schema]) -> ParametersOf:
    return lambda _method, _path: parameters


def header_parameter(name: str, description: str, schema: Schema) -> Schema:
    shown = {**schema, "description": description, "title": name}
    return {
        "name": name,
        "in": "header",
        "required": False,
        "schema": shown,
        "description": description,
    }


def query_model(model: type[BaseModel]) -> Any:
    """Annotate the model of a query, as a faster `Query()`.

    Declare this after the caller; otherwise anonymous clients get 422 instead of 401. If a
    parameter is sent several times, the last value counts, unless the field is a list.

    Usage: `Annotated[ItemListQuery, query_model(ItemListQuery)]`.
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
        described = {"description": field["description"]} if "description" in field else {}
        required = name in schema.get("required", ())
        # A query cannot send null, so a default of null is not documented.
        shown = {key: value for key, value in field.items() if (key, value) != ("default", None)}
        yield {"name": name, "in": "query", "required": required, "schema": shown, **described}


def document_parameters(openapi: Schema, routes: Sequence[BaseRoute]) -> None:
    """Add the parameters that the routes' dependencies read themselves."""
    schemas = openapi["components"]["schemas"]
    for route in iter_route_contexts(routes):
        operations = openapi["paths"].get(route.path, {})
        for method in route.methods or ():
            if (operation := operations.get(method.lower())) is not None:
                for documented in documented_by(route.dependant):
                    if parameters := documented.parameters(method, route.path or ""):
                        _add_parameters(operation, parameters)
                    schemas.update(documented.schemas)


def _add_parameters(operation: Schema, parameters: Sequence[Schema]) -> None:
    # Keep FastAPI's order of keys, so that a diff of two documents shows only real changes.
    after: Schema = {name: operation.pop(name) for name in _AFTER if name in operation}
    known = operation.get("parameters", [])
    names = {(each["name"], each["in"]) for each in known}
    # A dependency that is reached in several ways is documented once.
    new = [each for each in parameters if (each["name"], each["in"]) not in names]
    operation["parameters"] = [*known, *new]
    operation.update(after)


def documented_by(dependant: Dependant) -> Iterator[Documented]:
    """Yield the documentation that the dependencies of a route add to it."""
    if (found := getattr(dependant.call, _DOCUMENTED, None)) is not None:
        yield found
    for dependency in dependant.dependencies:
        yield from documented_by(dependency)
