"""Assembles the catalogue. `app` is what servers import."""

from typing import Final

from fastapi import FastAPI

from examples.catalogue.core.config import Settings, get_settings
from examples.catalogue.core.permissions import DESCRIPTIONS, Permission, allows, unverified_may
from examples.catalogue.db.session import Database, database
from examples.catalogue.routers import articles, auth, boards, items, notes, orders, tags, users
from mscr.application import fastapi_options, install
from mscr.collaborators import Collaborators
from mscr.core.security.access_control import AccessControl
from mscr.models.audit_event import Action
from mscr.routers import health, jwks, sessions
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
    "Tags": "The caller's labels for items.",
    "Notes": "Private notes of a user.",
    "Orders": "The caller's orders, which others may see once they are sent.",
    "Articles": "Texts that everyone reads, without login too.",
    "Boards": "Boards that their owners share with members.",
    "Audit log": "The audit log, for administrators.",
    "Jobs": "Jobs that wait or are dead, for administrators.",
    "Health": "Health checks for load balancers and orchestrators.",
    "Keys": "The public keys that verify access tokens.",
}


class OwnAction(Action):
    """The catalogue records no actions of its own."""


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
        **fastapi_options(has_process=has_process),
    )
    for router in (
        items.router,
        tags.router,
        notes.router,
        orders.router,
        articles.router,
        boards.router,
        users.router,
        sessions.router,
        audit_event_router(Permission.AUDIT_READ, OwnAction),
        job_router(Permission.JOBS_MANAGE),
        *auth.routers(settings),
    ):
        app.include_router(router, prefix=API_PREFIX)
    app.include_router(health.router)
    app.include_router(jwks.router)
    collaborators = Collaborators.from_settings(settings)
    install(app, collaborators, db or Database(settings), ACCESS, probes=health.router)
    return app


app = create_app()
