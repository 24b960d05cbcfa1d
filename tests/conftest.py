"""Loads the kit's plugin, whose fixtures docs/testing.md lists, and gives it this project."""
# The plugin sets the environment first: import the application in functions only.
# ruff: noqa: PLC0415

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mscr.project import Project
    from tests.api import Api

pytest_plugins = ["mscr.testing.plugin"]

# Each of these takes ten seconds or more, some with only a few tests.
LONG_MODULES = (
    "tests/test_export",
    "tests/api/test_routes",
    "tests/data/test_list_plans",
    "tests/benchmarks/test_benchmarks",
    "tests/docs/test_agents",
    "tests/docs/test_readme",
    "races",
    "two_processes",
)


@pytest.fixture(scope="session")
def tested_project() -> "Project":
    from app.project import project

    return project


@pytest.fixture(scope="session")
def api_type() -> "type[Api]":
    from tests.api import Api

    return Api


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Run the long modules first: at the end, idle workers would wait for the last one."""
    yield
    items.sort(key=lambda item: not any(name in item.nodeid for name in LONG_MODULES))
