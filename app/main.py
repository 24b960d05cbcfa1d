"""Assembles the application. `app` is what servers import."""

import gc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import iter_route_contexts

from app.core.bearer import TOKEN_PATH
from app.core.config import Settings, get_settings
from app.core.cors import CrossOriginPolicy
from app.core.dependencies import count_anonymous
from app.core.forwarded import ForwardedMiddleware
from app.core.idempotency import REPLAYED_HEADER
from app.core.logging import configure_logging
from app.core.middleware import RequestMiddleware
from app.core.oauth2_errors import OAuth2ErrorMiddleware
from app.core.openapi import install_docs_pages, install_openapi
from app.core.openapi_headers import IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH
from app.core.prepared_response import install_prepared_responses
from app.core.problems import install_problem_handlers
from app.core.root_path import RootPathMiddleware
from app.core.shutdown import close_all
from app.core.state import Collaborators
from app.db.session import Database, database
from app.routers import audit_events, auth, health, items, jwks, sessions, tags, users
from app.routers.body_transport import registration as body_registration
from app.routers.body_transport import router as body_transport
from app.routers.cookie_transport import registration as cookie_registration
from app.routers.cookie_transport import router as cookie_transport
from app.routers.mail_registration import router as mail_registration

API_PREFIX: Final = "/api/v1"
VERSION: Final = "0.1.0"
# Objects that are made before the collector looks for cycles among them: Python's default is 700.
GARBAGE_THRESHOLD: Final = 50_000
# What pages of CORS_ORIGINS may send, and read, beyond what browsers allow by themselves.
ALLOWED_HEADERS: Final = (
    "Authorization",
    "Content-Type",
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_NONE_MATCH,
    "X-Request-ID",
)
EXPOSED_HEADERS: Final = (
    "Content-Disposition",
    "ETag",
    REPLAYED_HEADER,
    "Link",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Request-ID",
)
DESCRIPTION: Final = (
    "Every success has the shape `{success, data, message, meta}`; every error is an RFC 9457 "
    "problem with a stable `code`."
)
# What the routes of a tag are about.
TAGS: Final = {
    "Health": "For load balancers and orchestrators.",
    "Keys": "What others verify access tokens with.",
    "Auth": "Registering, logging in and out, and exchanging tokens.",
    "Sessions": "Where the caller is logged in.",
    "Users": "The caller's account, public profiles, and the administration of accounts.",
    "Items": "Things with an owner, who publishes them or keeps them as drafts.",
    "Tags": "Words that the caller files items under.",
    "Audit log": "Who did what, for administrators.",
}


def create_app(settings: Settings | None = None, db: Database | None = None) -> FastAPI:
    """An application of its own for these settings; by default, the process's."""
    settings_given = settings is not None
    if settings is None:
        settings, db = get_settings(), database
    app = FastAPI(
        title=settings.APP_NAME,
        version=VERSION,
        description=DESCRIPTION,
        openapi_tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        lifespan=_lifespan if settings_given else process_lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(count_anonymous)],
    )
    app.state.collaborators = Collaborators.from_settings(settings)
    app.state.database = db or Database(settings)
    app.state.limited_by_address = {}
    _add_middleware(app, settings)
    install_problem_handlers(app)
    install_prepared_responses(app)
    install_openapi(app)
    for feature in (items, tags, users, sessions, auth, audit_events):
        app.include_router(feature.router, prefix=API_PREFIX)
    for chosen in _chosen_routers(settings):
        app.include_router(chosen, prefix=API_PREFIX)
    app.include_router(health.router)
    app.include_router(jwks.router)
    if settings.DOCS_ENABLED:
        install_docs_pages(app)
    return app


def _chosen_routers(settings: Settings) -> tuple[APIRouter, APIRouter]:
    """Of each kind one, which documents its own answers."""
    # With both transports, a script injected into a page would ask for tokens in bodies.
    if settings.refresh_token_in_cookie:
        transport, registration = cookie_transport, cookie_registration
    else:
        transport, registration = body_transport, body_registration
    return transport, mail_registration if settings.REGISTRATION_BY_MAIL else registration


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    # Outside of the others: its headers are on every answer.
    open_paths = {route.path for route in iter_route_contexts(health.router.routes) if route.path}
    app.add_middleware(
        RequestMiddleware,
        settings=settings,
        open_paths=open_paths,
        cross_origin=_cross_origin(app, settings),
    )
    # Outside of what answers before a route is found: its errors are extended, too.
    app.add_middleware(OAuth2ErrorMiddleware, path=TOKEN_PATH)
    # Added last, so outermost: everything else sees the client, and the path that it asked for.
    if settings.ROOT_PATH:
        app.add_middleware(
            RootPathMiddleware,
            root_path=settings.ROOT_PATH,
            own_paths=lambda: (route.path or "" for route in iter_route_contexts(app.routes)),
        )
    app.add_middleware(ForwardedMiddleware, trusted=settings.TRUSTED_PROXIES)


def _cross_origin(app: FastAPI, settings: Settings) -> CrossOriginPolicy | None:
    if not settings.CORS_ORIGINS:
        return None
    return CrossOriginPolicy(
        settings.CORS_ORIGINS,
        credentials=settings.refresh_token_in_cookie,
        allow_headers=[*ALLOWED_HEADERS, *settings.CORS_ALLOWED_HEADERS],
        expose_headers=[*EXPOSED_HEADERS, *settings.CORS_EXPOSED_HEADERS],
        methods=lambda: {
            method for route in iter_route_contexts(app.routes) for method in route.methods or ()
        },
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    collaborators: Collaborators = app.state.collaborators
    configure_logging(collaborators.settings)
    await collaborators.passwords.warm_up()
    yield
    collaborators.passwords.close()
    within = collaborators.settings.closing_time
    # Told to end before they are cut off: they know how to do that without losing more.
    own = within * 0.8
    await close_all(
        {
            "mails": collaborators.mails.close(within=own),
            "attempts": collaborators.attempts.close(),
            "requests": collaborators.requests.close(),
            "database": app.state.database.close(within=own),
        },
        within=within,
    )


@asynccontextmanager
async def process_lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    """That of the one application of a server's process."""
    async with _lifespan(app):
        _tune_garbage_collection()
        yield


def _tune_garbage_collection() -> None:
    """What start-up made lives as long as the process: no collection need walk it again.

    Requests leave few cycles, so fewer collections do; without it they are what makes one request
    in a hundred late.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 50)


app = create_app()
