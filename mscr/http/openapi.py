"""The OpenAPI document: error responses are generated from the exception classes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute

from mscr.core.exceptions import (
    APIError,
    BadRequestError,
    ContentEncodingError,
    EmailNotVerifiedError,
    ForbiddenError,
    IdempotencyKeyInUseError,
    IdempotencyKeyReusedError,
    NotFoundError,
    PayloadTooLargeError,
    PreconditionFailedError,
    PreconditionRequiredError,
    ServiceUnavailableError,
    TooManyRequestsError,
    UnauthorizedError,
    UnsupportedMediaTypeError,
    ValidationFailedError,
)
from mscr.http.anonymous import access_of, is_limited_by_address
from mscr.http.bearer import SCHEME_NAME, allow_anonymous, document_scheme
from mscr.http.dialect import DEFAULT_DIALECT, Dialect
from mscr.http.header_names import IDEMPOTENCY_KEY, IF_MATCH
from mscr.http.oauth2_errors import document_oauth2_errors
from mscr.http.openapi_dialect import document_dialect
from mscr.http.openapi_headers import document_headers, headers_read
from mscr.http.openapi_schemas import (
    REFERENCE,
    drop_nulls_of_parameters,
    mark_files,
    name_by_title,
    name_generated_bodies,
    name_inline_bodies,
    write_whole_bounds,
)
from mscr.http.problems import PROBLEM_MEDIA_TYPE
from mscr.http.request_parameters import document_parameters, documented_by
from mscr.schemas.problem_schemas import FieldProblem, Problem

Responses = dict[int | str, dict[str, Any]]

# Errors of every route with a body, raised before the route runs.
BODY_ERRORS = (
    BadRequestError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
    ContentEncodingError,
)
# Errors of every route that requires an access token or a key: requests are counted, and the
# session or the key is looked up.
CALLER_ERRORS = (TooManyRequestsError, ServiceUnavailableError)
HTTP_422 = str(ValidationFailedError.status)
# The schema of FastAPI's own response to invalid input.
_FRAMEWORK_ERROR = "HTTPValidationError"
JSON_MEDIA_TYPE = "application/json"


def problem_responses(*errors: type[APIError]) -> Responses:
    """Return `responses=` of a route or router: an entry per status, an example per error class."""
    responses: Responses = {}
    for error in errors:
        entry = responses.setdefault(error.status, {"description": error.title, "content": {}})
        media = entry["content"].setdefault(
            PROBLEM_MEDIA_TYPE,
            {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}},
        )
        media["examples"][error.code] = {"summary": error.title, "value": _example(error)}
    return responses


def _example(error: type[APIError]) -> dict[str, Any]:
    example: dict[str, Any] = {
        "type": f"urn:problem-type:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": "urn:request:0b9f6d0e54c04e3a8c9a4a4b0a3a5c11",
        "success": False,
        "code": error.code,
        "request_id": "0b9f6d0e54c04e3a8c9a4a4b0a3a5c11",
    }
    if issubclass(error, ValidationFailedError):
        example["errors"] = [{"loc": ["body", "title"], "msg": "Field required", "type": "missing"}]
    return example


def install_openapi(
    app: FastAPI,
    *,
    token_path: str = "",
    scopes: Mapping[str, str] = MappingProxyType({}),
    needs_verified: Callable[[str], bool] = lambda _: False,
    dialect: Dialect = DEFAULT_DIALECT,
) -> None:
    """Make `app.openapi()` add the problem schemas that the responses refer to.

    Access tokens come from `token_path`. `scopes` are the permissions, with their descriptions.
    `needs_verified` returns whether an operation requires a verified address of its caller.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                tags=app.openapi_tags,
                routes=app.routes,
            )
            schemas = schema.setdefault("components", {}).setdefault("schemas", {})
            for model in (Problem, FieldProblem):
                own = model.model_json_schema(ref_template=REFERENCE, mode="serialization")
                own.pop("$defs", None)
                schemas[model.__name__] = own
            document_scheme(schema, token_path=token_path, scopes=scopes)
            document_parameters(schema, app.routes)
            _document_validation(schema)
            _document_what_is_read(schema)
            _document_verification(schema, needs_verified)
            _document_routes(schema, app.routes)
            document_headers(schema)
            document_oauth2_errors(schema, REFERENCE)
            document_dialect(schema, dialect)
            name_inline_bodies(schema)
            name_generated_bodies(schema)
            name_by_title(schema)
            drop_nulls_of_parameters(schema)
            mark_files(schema)
            write_whole_bounds(schema)
            _sort_by_tag(schema)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI documents for this


def _sort_by_tag(schema: dict[str, Any]) -> None:
    """Sort the paths by the order of their tags, whatever order the router matches them in."""
    order = [tag["name"] for tag in schema.get("tags", ())]

    def position(path: tuple[str, dict[str, Any]]) -> int:
        tags = {tag for operation in path[1].values() for tag in operation.get("tags", ())}
        return min((order.index(tag) for tag in tags if tag in order), default=len(order))

    schema["paths"] = dict(sorted(schema["paths"].items(), key=position))


def _document_what_is_read(schema: dict[str, Any]) -> None:
    """Add the errors that follow from the input of a route, not from what it does."""
    for path in schema["paths"].values():
        for method, operation in path.items():
            read = headers_read(operation)
            _add_errors(operation, *_common_errors(operation), *_header_errors(method, read))


def _document_verification(schema: dict[str, Any], needed: Callable[[str], bool]) -> None:
    for path in schema["paths"].values():
        for operation in path.values():
            schemes = operation.get("security", ())
            if any(SCHEME_NAME in scheme for scheme in schemes) and needed(
                operation["operationId"]
            ):
                _add_errors(operation, EmailNotVerifiedError)


def _document_validation(schema: dict[str, Any]) -> None:
    """Add `ValidationFailedError` to every operation with parameters or a body.

    It replaces FastAPI's own shape of the error. A route that documents a 422 itself keeps it.
    """
    for path in schema["paths"].values():
        for operation in path.values():
            responses = operation["responses"]
            if HTTP_422 in responses and _FRAMEWORK_ERROR in str(responses[HTTP_422]):
                del responses[HTTP_422]
            reads_json = JSON_MEDIA_TYPE in operation.get("requestBody", {}).get("content", {})
            if HTTP_422 not in responses and (reads_json or operation.get("parameters")):
                _add_errors(operation, ValidationFailedError)
    for name in (_FRAMEWORK_ERROR, "ValidationError"):
        schema["components"]["schemas"].pop(name, None)


def _document_routes(schema: dict[str, Any], routes: Sequence[BaseRoute]) -> None:
    """Add what follows from the dependencies of a route and from its docstring."""
    for route in iter_route_contexts(routes):
        operations = schema["paths"].get(route.path, {})
        for method in route.methods or ():
            if (operation := operations.get(method.lower())) is not None:
                _document_dependencies(operation, route.dependant)
                if not route.summary and route.description:
                    _summarize(operation, route.description)


def _document_dependencies(operation: dict[str, Any], dependant: Dependant) -> None:
    if access_of(dependant) == "optional":
        allow_anonymous(operation)
    if is_limited_by_address(dependant):
        _add_errors(operation, TooManyRequestsError)
    for documented in documented_by(dependant):
        _add_errors(operation, *documented.errors)
        for status, headers in documented.headers.items():
            if status in operation["responses"]:
                operation["responses"][status].setdefault("headers", {}).update(headers)


def _summarize(operation: dict[str, Any], docstring: str) -> None:
    """Make the first sentence of the docstring the summary, and the rest the description."""
    summary, _, rest = docstring.partition("\n\n")
    operation["summary"] = " ".join(summary.split()).removesuffix(".")
    if rest.strip():
        operation["description"] = rest.strip()
    else:
        del operation["description"]


def _common_errors(operation: dict[str, Any]) -> Iterator[type[APIError]]:
    if "requestBody" in operation:
        yield from BODY_ERRORS
    if schemes := operation.get("security"):
        yield from CALLER_ERRORS
        if any(SCHEME_NAME in scheme for scheme in schemes):
            yield UnauthorizedError
        if any(scheme.get(SCHEME_NAME) for scheme in schemes):
            yield ForbiddenError
    if any(parameter["in"] == "path" for parameter in operation.get("parameters", ())):
        yield NotFoundError


def _header_errors(method: str, headers: set[str]) -> Iterator[type[APIError]]:
    if IDEMPOTENCY_KEY in headers:
        yield from (IdempotencyKeyInUseError, IdempotencyKeyReusedError)
    if IF_MATCH in headers:
        yield PreconditionFailedError
        if method in {"put", "patch", "delete"}:
            yield PreconditionRequiredError


def _add_errors(operation: dict[str, Any], *errors: type[APIError]) -> None:
    """Add problems to the operation, beside other content that the route declares for a status."""
    for status, response in problem_responses(*errors).items():
        problem = response["content"][PROBLEM_MEDIA_TYPE]
        known = operation["responses"].setdefault(str(status), response)
        media = known.setdefault("content", {}).setdefault(PROBLEM_MEDIA_TYPE, problem)
        media.setdefault("examples", {}).update(problem["examples"])
    operation["responses"] = dict(sorted(operation["responses"].items()))
