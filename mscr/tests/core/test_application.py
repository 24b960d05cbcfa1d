"""An application is refused, or documented, by the routes that it has."""

import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel

from examples.catalogue.core.config import Settings
from examples.catalogue.db.session import Database
from examples.catalogue.main import ACCESS
from mscr.application import fastapi_options, install
from mscr.collaborators import Collaborators
from mscr.endpoints.callers import CurrentPrincipal
from mscr.http.problems import PROBLEM_MEDIA_TYPE
from mscr.http.routing import Router
from mscr.routers import health
from mscr.testing.databases import on_sqlite

pytestmark = on_sqlite


class Missing(BaseModel):
    text: str


def make(settings: Settings, *routers: APIRouter) -> FastAPI:
    app = FastAPI(**fastapi_options(has_process=False))
    for router in routers:
        app.include_router(router)
    install(
        app,
        Collaborators.from_settings(settings),
        Database(settings),
        ACCESS,
        probes=health.router,
    )
    return app


def resource(prefix: str) -> Router:
    router = Router(prefix=prefix)

    @router.post("")
    async def create() -> None: ...

    return router


def test_two_routes_with_one_operation_id_are_refused(settings: Settings) -> None:
    with pytest.raises(ValueError, match="POST /things and POST /others have the same") as error:
        make(settings, resource("/things"), resource("/others"))
    assert "operation id, create:" in str(error.value)


@pytest.mark.parametrize(
    "declared", [{"model": Missing}, {"description": "No such thing"}], ids=["model", "description"]
)
def test_a_response_that_a_route_declares_stays_beside_the_problem(
    settings: Settings, declared: dict[str, object]
) -> None:
    router = APIRouter()

    @router.get("/things/{thing}", responses={401: dict(declared), 404: dict(declared)})
    async def thing(thing: str, _: CurrentPrincipal) -> None: ...

    document = make(settings, router).openapi()
    responses = document["paths"]["/things/{thing}"]["get"]["responses"]
    for status in ("401", "404"):
        content = responses[status]["content"]
        assert content[PROBLEM_MEDIA_TYPE]["examples"]
        assert ("application/json" in content) == ("model" in declared)
