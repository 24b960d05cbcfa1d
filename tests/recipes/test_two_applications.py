"""Several applications in one process: each has its own tables, statements and accounts."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from httpx2 import ASGITransport, AsyncClient

from app.models import Base
from app.models.tables import TABLES
from examples.catalogue import models as catalogue
from examples.catalogue.core.config import Settings
from examples.catalogue.main import create_app
from examples.catalogue.project import project
from examples.catalogue.tests.api import Api as CatalogueApi
from mscr.db.migrations import alembic_config, upgrade
from mscr.testing.problems import problem
from tests.api import Api


@pytest.fixture
def catalogue_url(tmp_path: Path) -> str:
    url = f"sqlite+aiosqlite:///{tmp_path}/catalogue.db"
    upgrade(alembic_config(project.root, url))
    return url


@pytest.fixture
async def other(catalogue_url: str) -> AsyncIterator[CatalogueApi]:
    """Yield steps of the catalogue, which runs beside the application under test."""
    app = create_app(Settings.from_env_file(None, DATABASE_URL=catalogue_url))
    transport = ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=transport, base_url="http://testserver") as client,
    ):
        yield CatalogueApi(client, app.state.database)


def test_each_application_has_its_own_tables() -> None:
    assert catalogue.Base.metadata is not Base.metadata
    assert catalogue.User.__table__ is not TABLES.user.__table__
    assert "affiliation" in catalogue.User.__table__.c
    assert "affiliation" not in TABLES.user.__table__.c


async def test_both_serve_requests_in_turn(api: Api, other: CatalogueApi) -> None:
    here, there = await api.register(), await other.register()
    sessions = await api.client.get("/api/v1/auth/sessions", headers=here.headers)
    await other.create_item(there, title="There", tags=["far"])

    assert len(sessions.json()["data"]) == 1
    assert await other.titles("/my", there) == ["There"]
    assert (await other.me(there.access_token)).json()["data"]["affiliation"] is None
    assert "affiliation" not in (await api.me(here.access_token)).json()["data"]


async def test_a_session_of_one_is_none_of_the_other(api: Api, other: CatalogueApi) -> None:
    here = await api.register()

    # The tests' applications share their keys: only the session is unknown.
    problem(await other.me(here.access_token), 401, "unauthorized")
    problem(await other.refresh(here.refresh_token), 401, "invalid_refresh_token")
