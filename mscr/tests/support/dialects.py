"""The catalogue in another dialect: two shapes of errors, and tokens of another scheme."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from pydantic import BaseModel

from examples.catalogue.core.config import Settings
from examples.catalogue.db.session import Database
from examples.catalogue.main import ACCESS, API_PREFIX
from examples.catalogue.routers import auth, items, users
from mscr.application import fastapi_options, install
from mscr.collaborators import Collaborators
from mscr.http.dialect import Dialect, ErrorShape, TokenScheme
from mscr.routers import health

USERS: Final = f"{API_PREFIX}/users"


class Sentences(BaseModel):
    body: list[str]


class SentencesResponse(BaseModel):
    errors: Sentences


class CodeResponse(BaseModel):
    error: str


def sentences(problem: Mapping[str, Any]) -> dict[str, Any]:
    return {"errors": {"body": [problem["detail"]]}}


def code(problem: Mapping[str, Any]) -> dict[str, Any]:
    return {"error": problem["code"]}


DIALECT: Final = Dialect(
    errors=(
        ErrorShape(USERS, CodeResponse, code, media_type="application/vnd.code+json"),
        ErrorShape("", SentencesResponse, sentences),
    ),
    token_scheme=TokenScheme("Token", "Send `Token` and the access token."),
)


def create_app(settings: Settings) -> FastAPI:
    return with_routers(settings, items.router, users.router, *auth.routers(settings))


def with_routers(settings: Settings, *routers: APIRouter) -> FastAPI:
    app = FastAPI(**fastapi_options(has_process=False))
    for router in routers:
        app.include_router(router, prefix=API_PREFIX)
    app.include_router(health.router)
    install(
        app,
        Collaborators.from_settings(settings),
        Database(settings),
        ACCESS,
        probes=health.router,
        dialect=DIALECT,
    )
    return app
