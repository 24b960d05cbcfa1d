"""Loads the kit's plugin, and gives it the catalogue: the kit is tested on no other application."""
# The plugin sets the environment first: import the application in functions only.
# ruff: noqa: PLC0415

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from examples.catalogue.tests.api import Api
    from mscr.project import Project

pytest_plugins = ["mscr.testing.plugin"]
# Assertions there explain themselves, as those of tests do.
pytest.register_assert_rewrite("mscr.tests.support")

# Each of these takes ten seconds or more, some with only a few tests.
LONG_MODULES = (
    "examples/catalogue/tests/test_routes",
    "examples/catalogue/tests/test_export",
    "examples/realworld/tests/test_routes",
    "mscr/tests/data/test_list_plans",
    "mscr/tests/fuzzing/",
    "mscr/tests/cli/",
    "races",
    "two_processes",
)


@pytest.fixture(scope="session")
def tested_project() -> "Project":
    from examples.catalogue.project import project

    return project


@pytest.fixture(scope="session")
def api_type() -> "type[Api]":
    from examples.catalogue.tests.api import Api

    return Api


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Run the long modules first: at the end, idle workers would wait for the last one."""
    yield
    items.sort(key=lambda item: not any(name in item.nodeid for name in LONG_MODULES))
