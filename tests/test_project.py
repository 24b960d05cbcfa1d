"""The application as a whole: its modules, its schema, and what the kit's commands get from it."""

from dataclasses import replace
from importlib import import_module
from pkgutil import walk_packages

import pytest

import app
from app.core.config import Settings
from app.db.session import Database
from app.models import UserRole
from app.project import project
from mscr.db.schema_check import find_faults


def test_every_module_can_be_imported() -> None:
    names = [module.name for module in walk_packages(app.__path__, "app.")]

    for name in names:
        import_module(name)

    assert "app.core.security.password" in names


# Naming both databases measures the coverage of both; otherwise it is that of PostgreSQL only.
@pytest.mark.parametrize("backend", ["sqlite", "postgresql"], indirect=True)
async def test_the_migrations_make_the_tables_of_the_models(database: Database) -> None:
    async with database.engine.connect() as connection:
        faults = await connection.run_sync(find_faults, project.metadata(), project.search_columns)

    assert [str(fault) for fault in faults] == []


async def test_the_first_start_adds_demo_data_and_names_its_administrator(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make run` shows the accounts at its first start, and this address at later ones."""
    monkeypatch.setattr("app.project.project", replace(project, get_settings=lambda: settings))

    accounts = await project.add_demo_data("dev")

    roles = {account.email: account.role for account in accounts}
    assert roles[project.administrator()] is UserRole.ADMIN
