"""Error responses: RFC 9457 problems for everything that can go wrong.

`install_problem_handlers` covers our own errors, validation, the framework's errors and those of
the database. The middleware handles all uncaught errors, and also uses this module.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from sqlalchemy.exc import IntegrityError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from mscr.connections.backing_services import DATABASE, log_fields
from mscr.core.exceptions import (
    APIError,
    BadRequestError,
    ForbiddenError,
    HeadersTooLargeError,
    MethodNotAllowedError,
    NotFoundError,
    PayloadTooLargeError,
    RequestTimeoutError,
    ServiceUnavailableError,
    TooManyRequestsError,
    UnauthorizedError,
    UnsupportedMediaTypeError,
    UriTooLongError,
    ValidationFailedError,
)
from mscr.core.log_budget import LogBudget
from mscr.db.database_errors import DATABASE_ERRORS, database_problem, database_reason
from mscr.http.media_types import unmet_media_type
from mscr.schemas.problem_schemas import field_problems

PROBLEM_MEDIA_TYPE = "application/problem+json"

# A response with one of these has no content (RFC 9110 §15.3.5, §15.3.6, §15.4.5).
WITHOUT_CONTENT: Final = {204, 205, 304}
_OF_CONTENT: Final = {"content-type", "content-length", "content-encoding", "transfer-encoding"}
# The statuses that a final response can have.
STATUSES: Final = range(200, 600)

log = structlog.get_logger(__name__)

LIMIT_LINE_INTERVAL: Final = timedelta(seconds=10)
_LIMIT_LINES: Final = LogBudget(LIMIT_LINE_INTERVAL)

_BY_STATUS: dict[int, type[APIError]] = {
    error.status: error
    for error in (
        BadRequestError,
        UnauthorizedError,
        ForbiddenError,
        NotFoundError,
        MethodNotAllowedError,
        RequestTimeoutError,
        PayloadTooLargeError,
        UriTooLongError,
        ValidationFailedError,
        HeadersTooLargeError,
        ServiceUnavailableError,
    )
}


def problem_response(
    error: APIError, request_id: str, errors: Sequence[Mapping[str, Any]] | None = None
) -> Response:
    """Return `error` as an `application/problem+json` response."""
    # Escape to ASCII: an unknown field's name may be a lone surrogate, which is not valid UTF-8.
    content = json.dumps(problem_body(error, request_id, errors), ensure_ascii=True)
    return Response(content, error.status, dict(error.headers), PROBLEM_MEDIA_TYPE)


def problem_body(
    error: APIError, request_id: str, errors: Sequence[Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """Return the members of a problem. `errors` replaces those of the error itself."""
    body: dict[str, Any] = {
        "type": f"urn:problem-type:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": f"urn:request:{request_id}",
        "success": False,
        "code": error.code,
        "request_id": request_id,
    }
    errors = error.errors if errors is None else errors
    if errors is not None:
        body["errors"] = errors
    return body


def install_problem_handlers(app: FastAPI) -> None:
    app.add_exception_handler(APIError, _on_api_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_framework_error)
    for error in DATABASE_ERRORS:
        app.add_exception_handler(error, _on_database_error)


def request_id_of(request: Request) -> str:
    return str(request.state.request_id)


async def _on_api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, APIError)  # noqa: S101  # it is registered for this class only
    if isinstance(error, ServiceUnavailableError):
        log.warning("service_unavailable", **error.log_fields)
    elif isinstance(error, TooManyRequestsError):
        _log_limit(error)
    return problem_response(error, request_id_of(request))


def _log_limit(error: TooManyRequestsError) -> None:
    # A client that exceeds a limit must not fill the log.
    left_out = _LIMIT_LINES.take(error.policy)
    if left_out is not None:
        log.warning(
            "limit_exceeded",
            policy=error.policy,
            quota=error.quota,
            window_seconds=int(error.window.total_seconds()),
            setting=error.setting,
            others_since_last_line=left_out,
        )


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    """Respond with the faults, without the submitted `input`, which may be a password."""
    assert isinstance(error, RequestValidationError)  # noqa: S101  # for the types: the handler is registered for this class
    faults = error.errors()
    if expected := _unmet_media_type(request, faults):
        unsupported = UnsupportedMediaTypeError(f"Send {expected}.")
        return problem_response(unsupported, request_id_of(request))
    errors = field_problems(faults)
    return problem_response(ValidationFailedError(), request_id_of(request), errors)


def _unmet_media_type(request: Request, faults: Sequence[Any]) -> str:
    """Return the expected type if the body was refused for being of another (RFC 9110 §15.5.16)."""
    if all(fault["loc"][0] != "body" for fault in faults):
        return ""
    return unmet_media_type(request.headers.get("content-type", ""), request.scope.get("route"))


async def _on_framework_error(request: Request, error: Exception) -> Response:
    """Convert an `HTTPException` of the framework, of a library or of the application.

    Its text reaches the client if the status is below 500; from 500 on, it is only logged.
    """
    assert isinstance(error, HTTPException)  # noqa: S101  # for the types: the handler is registered for this class
    status = error.status_code
    if status in WITHOUT_CONTENT:
        return Response(status_code=status, headers=error.headers)
    problem = error_with(status)
    if problem.status >= APIError.status:
        log.error("http_exception", status=status, exc_info=error)
    elif fault := _body_fault(error.__cause__):
        problem.detail = fault
    elif text := _text_of(error):
        problem.detail = text
    # In lower case: otherwise a header that both have would be sent twice.
    sent = {name.lower(): value for name, value in (*problem.headers.items(), *_headers_of(error))}
    if status == MethodNotAllowedError.status:
        sent["allow"] = ", ".join(_allowed_methods(request))
    problem.headers = sent
    return problem_response(problem, request_id_of(request))


def _body_fault(cause: BaseException | None) -> str:
    """Return what is wrong with a body that could not be read; FastAPI's own text does not say."""
    if isinstance(cause, UnicodeDecodeError):
        return "The body is not in UTF-8."
    if isinstance(cause, RecursionError):
        return "The body is nested too deeply."
    if isinstance(cause, ValueError) and "integer string conversion" in str(cause):
        return "The body has an integer with too many digits."
    return ""


def _headers_of(error: HTTPException) -> list[tuple[str, str]]:
    """Return the raiser's headers without those that describe the content, which is ours."""
    return [each for each in (error.headers or {}).items() if each[0].lower() not in _OF_CONTENT]


def _text_of(error: HTTPException) -> str:
    """Return what the raiser wrote, or an empty string for the default, the status's phrase."""
    detail: Any = error.detail
    if detail == _phrase(error.status_code):
        return ""
    try:
        # The detail of FastAPI's own exception may be any JSON value.
        return detail if isinstance(detail, str) else json.dumps(jsonable_encoder(detail))
    except (TypeError, ValueError, RecursionError):
        return ""


def error_with(status: int) -> APIError:
    """Return the error that stands for a status of the server or the framework."""
    return _problem_class(status)()


def _problem_class(status: int) -> type[APIError]:
    """Return the error class of a status, or make one from the registered phrase (RFC 9110)."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status not in STATUSES:
        return APIError
    phrase = _phrase(status)
    words = {"status": status, "code": f"http_{status}", "title": phrase or f"HTTP {status}"}
    if phrase:
        meaning = HTTPStatus(status)
        words |= {"code": meaning.name.lower(), "detail": meaning.description or phrase}
    else:
        words |= {"detail": f"The request ended with status {status}."}
    return type("UnnamedError", (APIError,), words)


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else ""


def _allowed_methods(request: Request) -> list[str]:
    # The framework names only the methods of the first route with this path (RFC 9110 §15.5.6).
    scope = request.scope
    path = scope["path"].removeprefix(scope.get("app_root_path", scope.get("root_path", "")))
    matching = (
        # Only static files are mounted, which have no methods of their own.
        route.methods or {"GET", "HEAD"}
        for route in iter_route_contexts(request.app.routes)
        if route.path_regex.match(path)
    )
    methods = set().union(*matching)
    # HEAD is allowed wherever GET is.
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


async def _on_database_error(request: Request, error: Exception) -> Response:
    problem = database_problem(error)
    if problem.status == APIError.status and isinstance(error, IntegrityError):
        # A traceback would quote the row.
        log.error("database_error", reason=database_reason(error), statement=error.statement)
    elif problem.status == APIError.status:
        # A bug of ours, such as a wrong statement. Its traceback has no values, and shows where.
        log.error("database_error", exc_info=error)
    else:
        fields = log_fields(error, DATABASE)
        if "remedy" not in fields:
            fields = {"reason": database_reason(error)}
        log.warning("database_error", code=problem.code, **fields)
    return problem_response(problem, request_id_of(request))
