"""Install the kit in a FastAPI application: state, middleware, errors, documentation."""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import iter_route_contexts

from mscr.collaborators import Collaborators
from mscr.core.config import Settings
from mscr.core.security.access_control import AccessControl
from mscr.db.session import Database
from mscr.endpoints.anonymous_limit import count_anonymous
from mscr.http.already_answered import install_already_answered
from mscr.http.cors import CrossOriginPolicy
from mscr.http.dialect import DEFAULT_DIALECT, Dialect
from mscr.http.dialect_middleware import DialectMiddleware
from mscr.http.docs_pages import install_docs_pages
from mscr.http.forwarded import ForwardedMiddleware
from mscr.http.header_names import (
    IDEMPOTENCY_KEY,
    IDEMPOTENCY_REPLAYED,
    IF_MATCH,
    IF_NONE_MATCH,
)
from mscr.http.mail_pages import install_mail_pages
from mscr.http.middleware import RequestMiddleware
from mscr.http.oauth2_errors import OAuth2ErrorMiddleware
from mscr.http.openapi import install_openapi
from mscr.http.problems import install_problem_handlers
from mscr.http.root_path import RootPathMiddleware
from mscr.jobs.job import AnyJob
from mscr.jobs.schedule import Schedule
from mscr.lifespan import lifespan, process_lifespan
from mscr.services.password_reset_service import ISSUE_RESET_LINK

# Headers that pages of CORS_ORIGINS may send and read, beside the CORS-safelisted ones.
ALLOWED_HEADERS: Final = (
    "Authorization",
    "Content-Type",
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_NONE_MATCH,
    "traceparent",
    "tracestate",
    "X-Request-ID",
)
EXPOSED_HEADERS: Final = (
    "Content-Disposition",
    "ETag",
    IDEMPOTENCY_REPLAYED,
    "Link",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Request-ID",
)


def fastapi_options(*, has_process: bool) -> dict[str, Any]:
    """Return the arguments of `FastAPI`. `has_process`: it is the process's only application."""
    return {
        "lifespan": process_lifespan if has_process else lifespan,
        "redirect_slashes": False,
        # `install` serves the documentation below DOCS_PATH_PREFIX, without a CDN.
        "docs_url": None,
        "redoc_url": None,
        "openapi_url": None,
        "dependencies": [Depends(count_anonymous)],
    }


def install(  # noqa: PLR0913  # the parts of an application, most of them by name
    app: FastAPI,
    collaborators: Collaborators,
    database: Database,
    access: AccessControl,
    *,
    probes: APIRouter,
    exposed_headers: Sequence[str] = (),
    dialect: Dialect = DEFAULT_DIALECT,
    jobs: Sequence[AnyJob] = (),
    schedules: Sequence[Schedule] = (),
) -> None:
    """Add state, middleware, error handlers and documentation to the application.

    Middleware that was added before runs inside the kit's. The routes of `probes` accept any host
    name. Pages of CORS_ORIGINS may read `exposed_headers`, beside those of the kit. `dialect` is
    for contracts with other errors or tokens (docs/dialects.md). `jobs` are the application's own,
    and `schedules` run jobs at regular times (docs/jobs.md).
    """
    settings = collaborators.settings
    app.state.collaborators = collaborators
    app.state.database = database
    app.state.access = access
    app.state.dialect = dialect
    app.state.job_types = (ISSUE_RESET_LINK, *jobs)
    app.state.schedules = schedules
    app.state.limited_by_address = {}
    # Outside of the middleware added so far, so that its headers are on every response.
    app.add_middleware(
        RequestMiddleware,
        settings=settings,
        open_paths={route.path for route in iter_route_contexts(probes.routes) if route.path},
        cross_origin=_cross_origin(app, settings, exposed_headers),
    )
    _add_outer_middleware(app, settings, access.token_path, dialect)
    install_problem_handlers(app)
    install_already_answered(app)
    _refuse_duplicate_operations(app)
    install_openapi(
        app,
        token_path=access.token_path,
        scopes=access.scopes,
        needs_verified=lambda operation: not access.admits_unverified(operation),
        dialect=dialect,
    )
    if settings.DOCS_ENABLED:
        install_docs_pages(app, settings.DOCS_PATH_PREFIX)
        if not settings.is_production:
            install_mail_pages(app, settings.DOCS_PATH_PREFIX, collaborators.mails)


def _refuse_duplicate_operations(app: FastAPI) -> None:
    """Raise `ValueError` if two routes share an operation id.

    Generated clients name functions by it, idempotency keys are valid for one operation, and the
    audit log records it.
    """
    found: dict[str, str] = {}
    for route in iter_route_contexts(app.routes):
        operation = getattr(route, "unique_id", None)
        here = f"{'/'.join(sorted(route.methods or ()))} {route.path}"
        # A mounted application has no operation.
        if operation and (other := found.setdefault(operation, here)) != here:
            raise ValueError(
                f"{other} and {here} have the same operation id, {operation}: rename a function, "
                "or pass operation_id="
            )


def _add_outer_middleware(
    app: FastAPI, settings: Settings, token_path: str, dialect: Dialect
) -> None:
    # Outside of middleware that responds before a route is found: it extends those errors too.
    app.add_middleware(OAuth2ErrorMiddleware, path=token_path)
    if not dialect.is_default:
        app.add_middleware(DialectMiddleware, dialect=dialect, token_path=token_path)
    # Added last, so outermost: all other middleware sees the real client and the requested path.
    if settings.ROOT_PATH:
        app.add_middleware(
            RootPathMiddleware,
            root_path=settings.ROOT_PATH,
            own_paths=lambda: (route.path or "" for route in iter_route_contexts(app.routes)),
        )
    app.add_middleware(ForwardedMiddleware, trusted=settings.TRUSTED_PROXIES)


def _cross_origin(
    app: FastAPI, settings: Settings, exposed_headers: Sequence[str]
) -> CrossOriginPolicy | None:
    if not settings.CORS_ORIGINS:
        return None
    return CrossOriginPolicy(
        settings.CORS_ORIGINS,
        credentials=settings.refresh_token_in_cookie,
        allow_headers=[*ALLOWED_HEADERS, *settings.CORS_ALLOWED_HEADERS],
        expose_headers=[*EXPOSED_HEADERS, *exposed_headers, *settings.CORS_EXPOSED_HEADERS],
        methods=lambda: {
            method for route in iter_route_contexts(app.routes) for method in route.methods or ()
        },
    )
