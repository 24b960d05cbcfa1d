"""Assembles Conduit. `app` is what servers import."""

from typing import Any, Final

from fastapi import FastAPI

from examples.realworld.core.config import Settings, get_settings
from examples.realworld.core.dialect import DIALECT
from examples.realworld.db.session import Database, database
from examples.realworld.routers import articles, users
from mscr.application import fastapi_options, install
from mscr.collaborators import Collaborators
from mscr.core.security.access_control import AccessControl
from mscr.routers import health

TAGS: Final = {
    "Users": "Registration, login and the caller's account.",
    "Articles": "Articles and their comments.",
    "Health": "Health checks for load balancers and orchestrators.",
}


def nobody(account: Any, permission: str) -> bool:  # noqa: ARG001  # there are no permissions
    return False


def create_app(settings: Settings | None = None, db: Database | None = None) -> FastAPI:
    """Create an application for these settings; by default, the one of the process."""
    has_process = settings is None
    if settings is None:
        settings, db = get_settings(), database
    app = FastAPI(
        title=settings.APP_NAME,
        version="0.1.0",
        description="The API of RealWorld (Conduit).",
        openapi_tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        **fastapi_options(has_process=has_process),
    )
    for router in (users.router, articles.router):
        app.include_router(router, prefix="/api")
    app.include_router(health.router)
    install(
        app,
        Collaborators.from_settings(settings),
        db or Database(settings),
        AccessControl(policy=nobody, scopes={}, token_path=""),
        probes=health.router,
        dialect=DIALECT,
    )
    return app


app = create_app()
