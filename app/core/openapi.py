"""OpenAPI: error responses from the exception classes, and pages that need no network."""

import asyncio
import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.docs import (
    get_redoc_html,
    get_swagger_ui_html,
    get_swagger_ui_oauth2_redirect_html,
)
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts
from fastapi.security import OAuth2PasswordBearer
from fastapi.staticfiles import StaticFiles
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import Scope

from app.core.anonymous import is_limited_by_address
from app.core.exceptions import (
    APIError,
    BadRequestError,
    ContentEncodingError,
    IdempotencyKeyInUseError,
    IdempotencyKeyReusedError,
    PayloadTooLargeError,
    PreconditionFailedError,
    PreconditionRequiredError,
    ServiceUnavailableError,
    TooManyRequestsError,
    UnsupportedMediaTypeError,
    ValidationFailedError,
)
from app.core.oauth2_errors import document_oauth2_errors
from app.core.openapi_headers import (
    IDEMPOTENCY_KEY,
    IF_MATCH,
    document_headers,
    headers_read,
)
from app.core.openapi_schemas import (
    REFERENCE,
    drop_nulls_of_parameters,
    name_by_title,
    name_generated_bodies,
    name_inline_bodies,
)
from app.core.problems import PROBLEM_MEDIA_TYPE, FieldProblem, Problem
from app.core.request_parameters import document_parameters

OPENAPI_PATH = "/openapi.json"
ASSETS_PATH = "/docs-assets"
REDOC_SCRIPT = "redoc.standalone.js"
# ReDoc shows its maker's logo, and fetches it from there: whoever reads the page is told to them.
REDOC_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg"
Responses = dict[int | str, dict[str, Any]]

# What is answered before a route is asked, wherever a body is read.
BODY_ERRORS = (
    BadRequestError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
    ContentEncodingError,
)
# Wherever a caller is asked for an access token or a key: their requests are counted, and the
# session or the key is looked up.
CALLER_ERRORS = (TooManyRequestsError, ServiceUnavailableError)
# The name of the access token's scheme.
ACCESS_TOKEN = OAuth2PasswordBearer.__name__


def problem_responses(*errors: type[APIError]) -> Responses:
    """`responses=` of a route or router: one entry a status, one example an error class."""
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


def install_openapi(app: FastAPI) -> None:
    """Make `app.openapi()` add the problem schemas that the responses refer to."""

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
            document_parameters(schema, app.routes)
            _document_what_is_read(schema)
            _document_limits(schema, app.routes)
            document_headers(schema)
            document_oauth2_errors(schema, REFERENCE)
            name_inline_bodies(schema)
            name_generated_bodies(schema)
            name_by_title(schema)
            drop_nulls_of_parameters(schema)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI documents for this


def _document_what_is_read(schema: dict[str, Any]) -> None:
    """The errors that a route has because of what it asks for, not of what it does."""
    for path in schema["paths"].values():
        for method, operation in path.items():
            read = headers_read(operation)
            _add_errors(operation, *_common_errors(operation), *_header_errors(method, read))


def _document_limits(schema: dict[str, Any], routes: Sequence[BaseRoute]) -> None:
    for route in iter_route_contexts(routes):
        operations = schema["paths"].get(route.path, {})
        for method in route.methods or ():
            operation = operations.get(method.lower())
            if operation is not None and is_limited_by_address(route.dependant):
                _add_errors(operation, TooManyRequestsError)


def _common_errors(operation: dict[str, Any]) -> Iterator[type[APIError]]:
    if "requestBody" in operation:
        yield from BODY_ERRORS
    if operation.get("security"):
        yield from CALLER_ERRORS


def _header_errors(method: str, headers: set[str]) -> Iterator[type[APIError]]:
    if IDEMPOTENCY_KEY in headers:
        yield from (IdempotencyKeyInUseError, IdempotencyKeyReusedError)
    if IF_MATCH in headers:
        yield PreconditionFailedError
        if method in {"put", "patch", "delete"}:
            yield PreconditionRequiredError


def _add_errors(operation: dict[str, Any], *errors: type[APIError]) -> None:
    for status, response in problem_responses(*errors).items():
        known = operation["responses"].setdefault(str(status), response)
        examples = known["content"][PROBLEM_MEDIA_TYPE]["examples"]
        examples.update(response["content"][PROBLEM_MEDIA_TYPE]["examples"])


class DocsAssets(StaticFiles):
    """The files as they are installed, but for the one that would call another host."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if path == REDOC_SCRIPT and isinstance(response, FileResponse):
            script = await asyncio.to_thread(Path(response.path).read_bytes)
            # The script leaves out an image that cannot be shown.
            script = script.replace(REDOC_LOGO, b"data:,")
            return Response(script, media_type=response.media_type)
        return response


def install_docs_pages(app: FastAPI) -> None:
    """Serve /docs and /redoc with assets from an installed package, under a policy of their own.

    With them comes the document that they show.
    """

    # Not `add_route`: the application's dependencies count the callers of its own routes only.
    @app.get(OPENAPI_PATH, include_in_schema=False)
    async def document(request: Request) -> Response:
        return JSONResponse(_behind(_root_path(request), app.openapi()))

    app.mount(ASSETS_PATH, DocsAssets(directory=_assets_directory()), name="docs-assets")

    @app.get("/docs", include_in_schema=False)
    async def swagger(request: Request) -> Response:
        root = _root_path(request)
        return _page(
            get_swagger_ui_html(
                openapi_url=f"{root}{OPENAPI_PATH}",
                title=f"{app.title} - Swagger UI",
                oauth2_redirect_url=f"{root}{app.swagger_ui_oauth2_redirect_url}",
                swagger_js_url=f"{root}{ASSETS_PATH}/swagger-ui-bundle.js",
                swagger_css_url=f"{root}{ASSETS_PATH}/swagger-ui.css",
                swagger_favicon_url=f"{root}{ASSETS_PATH}/favicon.png",
            )
        )

    @app.get("/docs/oauth2-redirect", include_in_schema=False)
    async def oauth2_redirect() -> Response:
        return _page(get_swagger_ui_oauth2_redirect_html())

    @app.get("/redoc", include_in_schema=False)
    async def redoc(request: Request) -> Response:
        root = _root_path(request)
        return _page(
            get_redoc_html(
                openapi_url=f"{root}{OPENAPI_PATH}",
                title=f"{app.title} - ReDoc",
                redoc_js_url=f"{root}{ASSETS_PATH}/{REDOC_SCRIPT}",
                redoc_favicon_url=f"{root}{ASSETS_PATH}/favicon.png",
                with_google_fonts=False,
            )
        )


def _behind(root: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the document with the URLs that it has behind a path prefix.

    The committed document has none: `servers` is what a prefix adds. A token URL is resolved
    against the host instead, as it begins with a slash.
    """
    if not root:
        return schema
    components = dict(schema["components"])
    components["securitySchemes"] = {
        name: scheme if "flows" not in scheme else {**scheme, "flows": _flows_behind(root, scheme)}
        for name, scheme in components["securitySchemes"].items()
    }
    return {**schema, "servers": [{"url": root}], "components": components}


def _flows_behind(root: str, scheme: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {**flow, "tokenUrl": f"{root}{flow['tokenUrl']}"}
        for name, flow in scheme["flows"].items()
    }


def _page(page: HTMLResponse) -> HTMLResponse:
    # The framework's pages have inline scripts: their digests are allowed, and no others.
    scripts = re.findall(rb"<script>(.*?)</script>", page.body, re.DOTALL)
    digests = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    page.headers["content-security-policy"] = (
        f"default-src 'none'; script-src 'self' {digests}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src blob:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    return page


def _sha256(script: bytes) -> str:
    return base64.b64encode(hashlib.sha256(script).digest()).decode()


def _root_path(request: Request) -> str:
    return str(request.scope.get("root_path", "")).rstrip("/")


def _assets_directory() -> Path:
    return Path(str(files("fastapi_offline"))) / "static"
