"""The order of the guides."""

from collections.abc import Iterator

import pytest

# Each of these takes minutes.
LONG_MODULES = (
    "tests/benchmarks/test_benchmarks",
    "tests/docs/test_agents",
    "tests/docs/test_readme",
    "tests/docs/test_variants_guide",
)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Run the long modules first: at the end, idle workers would wait for the last one."""
    yield
    items.sort(key=lambda item: not any(name in item.nodeid for name in LONG_MODULES))
