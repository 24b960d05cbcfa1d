"""Loads the kit's plugin, whose fixtures docs/testing.md lists, and gives it this project."""
# The plugin sets the environment first: import the application in functions only.
# ruff: noqa: PLC0415

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mscr.project import Project
    from tests.api import Api

pytest_plugins = ["mscr.testing.plugin"]


@pytest.fixture(scope="session")
def tested_project() -> "Project":
    from app.project import project

    return project


@pytest.fixture(scope="session")
def api_type() -> "type[Api]":
    from tests.api import Api

    return Api
