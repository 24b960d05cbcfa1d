"""Loads the kit's plugin, whose fixtures docs/testing.md lists, and gives it the catalogue."""
# The plugin sets the environment first: import the application in functions only.
# ruff: noqa: PLC0415

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from examples.catalogue.tests.api import Api
    from mscr.project import Project

pytest_plugins = ["mscr.testing.plugin"]


@pytest.fixture(scope="session")
def tested_project() -> "Project":
    from examples.catalogue.project import project

    return project


@pytest.fixture(scope="session")
def api_type() -> "type[Api]":
    from examples.catalogue.tests.api import Api

    return Api
