"""Adding a column to users takes a change of model and schema and a migration, not of the kit."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from httpx2 import Client, HTTPTransport

from app.core.config import PROJECT_ROOT
from app.project import project as original
from mscr.testing.api import PASSWORD, bearer
from mscr.testing.processes import BASE_URL, app_processes
from tests.docs.project_copy import ProjectCopy
from tests.recipes.conftest import BACKENDS, Databases

ME = "/api/v1/users/me"
COLUMNS = """\
    plan: Mapped[Plan] = mapped_column(
        enum_type(Plan, name="plan", length=20),
        server_default=Plan.FREE.value,
        info=NOT_PERSONAL,
    )
    born: Mapped[date | None] = mapped_column(info=PERSONAL)
    notes: Mapped[str | None] = mapped_column(String(200), deferred=True, info=PERSONAL)
    full_name:"""
PLAN = """\
class Plan(str, PyEnum):
    FREE = "free"
    PAID = "paid"


class User("""
# A route of the application that reads the caller's account.
ROUTE = """\
@router.get("/me/plan")
async def get_plan(principal: CurrentPrincipal) -> dict[str, object]:
    account = principal.account
    return {
        "is_free": account.plan is Plan.FREE,
        "born": account.born,
        "hides": not any(hasattr(account, name) for name in ("password_hash", "notes")),
    }


@router.get("/me")"""
EDITS = {
    "app/models/user.py": [
        ("    full_name:", COLUMNS),
        ("class User(", PLAN),
        ("from enum", "from datetime import date\nfrom enum"),
    ],
    "app/schemas/user_schemas.py": [
        (
            "    is_active: bool\n    email",
            "    is_active: bool\n    plan: Plan\n    born: date | None\n    email",
        ),
        ("    full_name: FullName", "    born: date | None = None\n    full_name: FullName"),
        ("import UserRole\n", "import Plan, UserRole\n"),
        ("from datetime import datetime", "from datetime import date, datetime"),
    ],
    "app/routers/users.py": [
        ('@router.get("/me")', ROUTE),
        ("from typing", "from app.models.user import Plan\nfrom typing"),
    ],
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    copy = ProjectCopy(tmp_path_factory.mktemp("column") / "project", PROJECT_ROOT)
    for name, edits in EDITS.items():
        path = copy.path / name
        source = path.read_text()
        for old, new in edits:
            assert old in source, f"{name} has no {old!r}"
            source = source.replace(old, new, 1)
        path.write_text(source)
    return copy


@pytest.fixture(scope="module", params=BACKENDS)
def client(
    request: pytest.FixtureRequest, project: ProjectCopy, databases: Databases
) -> Iterator[Client]:
    url = databases.create(request.param)
    keys = {name: os.environ[name] for name in ("SECRET_KEY", "JWT_SECRET_KEY")}
    if not list(project.path.glob("migrations/versions/*_columns_of_users.py")):
        migrate = "alembic revision --autogenerate -m 'columns of users'"
        project.run(migrate, DATABASE_URL=url, **keys)
    project.run("alembic upgrade head", DATABASE_URL=url, **keys)
    with (
        app_processes(original, 1, url, cwd=project.path) as [process],
        Client(transport=HTTPTransport(uds=process.socket), base_url=BASE_URL) as client,
    ):
        body = {"email": "ada@example.com", "password": PASSWORD}
        tokens = client.post("/api/v1/auth/register", json=body).json()["data"]
        client.headers.update(bearer(tokens["access_token"]))
        yield client


def shown(client: Client) -> dict[str, Any]:
    data: dict[str, Any] = client.get(ME).json()["data"]
    return {name: data[name] for name in ("email", "plan", "born")}


def test_it_is_in_the_callers_account_and_response(client: Client) -> None:
    client.patch(ME, json={"born": None})
    before = shown(client)
    client.patch(ME, json={"born": "1815-12-10"})

    assert before == {"email": "ada@example.com", "plan": "free", "born": None}
    assert shown(client) == before | {"born": "1815-12-10"}


def test_the_account_has_its_type_on_both_databases(client: Client) -> None:
    client.patch(ME, json={"born": "1815-12-10"})

    plan = client.get(f"{ME}/plan").json()

    assert plan == {"is_free": True, "born": "1815-12-10", "hides": True}
