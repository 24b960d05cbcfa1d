"""Assembles the application. `app` is what servers import."""

from typing import Final

from fastapi import FastAPI

from app.core.config import Settings, get_settings
from app.core.dialect import DIALECT
from app.core.security.permissions import DESCRIPTIONS, Permission, allows, unverified_may
from app.core.state import Collaborators
from app.db.session import Database, database
from app.models.audit_event import AppAction
from app.routers import (
    auth,
    health,
    items,
    users,
)
from mscr.application import fastapi_options, install
from mscr.core.security.access_control import AccessControl
from mscr.routers import jwks, sessions
from mscr.routers.audit_events import audit_event_router
from mscr.routers.jobs import job_router

API_PREFIX: Final = "/api/v1"
VERSION: Final = "0.1.0"
DESCRIPTION: Final = (
    "Every success has the shape `{success, data, message, meta}`; every error is an RFC 9457 "
    "problem with a stable `code`."
)
ACCESS: Final = AccessControl(
    policy=allows,
    scopes={permission.value: text for permission, text in DESCRIPTIONS.items()},
    token_path=f"{API_PREFIX}/auth/token",
    unverified=unverified_may,
)
# Describe each tag. The documentation lists the tags in this order.
TAGS: Final = {
    "Auth": "Registration, login, logout and the exchange of tokens.",
    "Sessions": "The caller's sessions.",
    "Users": "The caller's account, public profiles and the administration of accounts.",
    "Items": "Objects with an owner, who publishes them or keeps them as drafts.",
    "Audit log": "The audit log, for administrators.",
    "Jobs": "Jobs that wait or are dead, for administrators.",
    "Health": "Health checks for load balancers and orchestrators.",
    "Keys": "The public keys that verify access tokens.",
}


def create_app(settings: Settings | None = None, db: Database | None = None) -> FastAPI:
    """Create an application for these settings; by default, the one of the process."""
    has_process = settings is None
    if settings is None:
        settings, db = get_settings(), database
    app = FastAPI(
        title=settings.APP_NAME,
        version=VERSION,
        description=DESCRIPTION,
        openapi_tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        # Serves the documentation too: see DOCS_ENABLED and DOCS_PATH_PREFIX in .env.example.
        **fastapi_options(has_process=has_process),
    )
    app.include_router(users.router, prefix=API_PREFIX)
    app.include_router(items.router, prefix=API_PREFIX)
    app.include_router(sessions.router, prefix=API_PREFIX)
    app.include_router(audit_event_router(Permission.AUDIT_READ, AppAction), prefix=API_PREFIX)
    app.include_router(job_router(Permission.JOBS_MANAGE), prefix=API_PREFIX)
    for router in auth.routers(settings):
        app.include_router(router, prefix=API_PREFIX)
    app.include_router(health.router)
    app.include_router(jwks.router)
    install(
        app,
        Collaborators.from_settings(settings),
        db or Database(settings),
        ACCESS,
        probes=health.router,
        dialect=DIALECT,
    )
    # Add middleware of your own here, as an ASGI class: app.add_middleware(YourMiddleware). It is
    # outside of the kit's, and can add headers to every response of the application, those of
    # refused requests too. Warning: `@app.middleware("http")` breaks streamed exports, and keeps
    # their database connection after a client has disconnected. The server itself answers input
    # that is no valid HTTP request (`mscr/http/refusals.py`).
    return app


app = create_app()
