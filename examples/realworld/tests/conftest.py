"""Loads the kit's plugin, and gives it Conduit."""
# The plugin sets the environment first: import the application in functions only.
# ruff: noqa: PLC0415

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from examples.realworld.tests.api import Api
    from mscr.project import Project

pytest_plugins = ["mscr.testing.plugin"]


@pytest.fixture(scope="session")
def tested_project() -> "Project":
    from examples.realworld.project import project

    return project


@pytest.fixture(scope="session")
def api_type() -> "type[Api]":
    from examples.realworld.tests.api import Api

    return Api
