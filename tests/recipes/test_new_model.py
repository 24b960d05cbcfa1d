"""The recipes for a model, a repository, a service and a router work as written."""

import asyncio
import io
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import NullPool, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine

from mscr.testing.problems import assert_unauthorized, problem
from tests.docs.project_copy import ProjectCopy
from tests.recipes.conftest import BACKENDS, NEW_MODELS, Databases, Feature, Followed

ROWS = text("SELECT name, public_id, is_deleted, created_at IS NOT NULL AS dated FROM new_models")


def query(url: str, work: Any) -> Any:
    async def run() -> Any:
        engine = create_async_engine(url, poolclass=NullPool)
        async with engine.connect() as connection:
            return await connection.run_sync(work)

    return asyncio.run(run())


def migration_of(project: ProjectCopy) -> Path:
    [found] = project.path.glob("migrations/versions/*_add_new_model_table.py")
    return found


def test_creating_one_returns_201_with_the_envelope(feature: Feature) -> None:
    response = feature.create(name="First")

    assert response.status_code == 201
    assert response.json()["success"] is True
    assert response.json()["data"]["name"] == "First"


def test_the_response_has_a_public_id_and_no_integer_id(feature: Feature) -> None:
    data = feature.create(name="First").json()["data"]

    assert data.keys() == {"public_id", "name", "created_at", "updated_at"}
    assert UUID(data["public_id"]).version == 7


def test_the_row_is_in_the_database(feature: Feature) -> None:
    public_id = feature.create(name="Kept").json()["data"]["public_id"]

    rows = query(feature.database_url, lambda c: c.execute(ROWS).all())

    [row] = [row for row in rows if row.public_id == public_id]
    assert (row.name, bool(row.is_deleted), bool(row.dated)) == ("Kept", False, True)


def test_without_a_token_it_is_401(feature: Feature) -> None:
    assert_unauthorized(feature.client.post(NEW_MODELS, json={"name": "First"}))


@pytest.mark.parametrize("body", [{}, {"name": 1}, {"name": None}, {"name": ["First"]}])
def test_a_bad_body_is_422(feature: Feature, body: dict[str, Any]) -> None:
    problem(feature.create(**body), 422, "validation_failed")


def test_a_name_that_the_database_cannot_hold_never_makes_a_500(feature: Feature) -> None:
    """IN2: a schema may accept a NUL, but PostgreSQL refuses it."""
    responses = [feature.create(name="\0"), feature.create(name="x" * 101)]

    assert [response.status_code for response in responses] == [422, 422]


def test_an_unknown_field_is_refused_by_the_projects_base(feature: Feature) -> None:
    response = feature.create(name="First", is_deleted=True)

    assert response.status_code == (422 if feature.reader.schemas == "project" else 201)


def test_the_route_is_in_the_api_description(feature: Feature) -> None:
    described = feature.client.get("/openapi.json").json()["paths"]

    assert described[NEW_MODELS]["post"]["tags"] == ["New Models"]


def test_the_routes_of_the_project_still_work(feature: Feature) -> None:
    response = feature.client.get("/api/v1/users/me", headers=feature.headers)

    assert response.status_code == 200


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_migration_matches_the_models(followed: Followed, backend: str) -> None:
    """RL11."""
    assert "No new upgrade operations detected" in followed.outputs[backend]


def test_the_migration_creates_one_table_and_changes_no_other(
    followed: Followed,
) -> None:
    written = migration_of(followed.project).read_text()

    tables = re.findall(r'(?:create_table|drop_table|alter_table)\(\s*"(\w+)"', written)
    assert set(tables) == {"new_models"}


def test_the_migration_is_portable(followed: Followed) -> None:
    """RL11: `false` in one database is a number in the other."""
    written = migration_of(followed.project).read_text()

    assert "server_default=sa.false()" in written
    assert "server_default=sa.func.current_timestamp()" in written
    assert "sa.text(" not in written


def test_the_migration_passes_the_projects_own_checks(
    followed: Followed,
) -> None:
    migration = migration_of(followed.project)

    followed.project.run(f"ruff check {migration} && ruff format --check {migration}")


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_migration_runs_up_down_and_up_again(
    followed: Followed, databases: Databases, backend: str
) -> None:
    """RL11."""
    config = Config(followed.project.path / "alembic.ini", stdout=io.StringIO())
    url = databases.create(backend)
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))

    has_table = []
    for step, revision in (("upgrade", "head"), ("downgrade", "-1"), ("upgrade", "head")):
        getattr(command, step)(config, revision)
        has_table.append(query(url, lambda c: inspect(c).has_table("new_models")))

    assert has_table == [True, False, True]
