"""What `make check` says of a start that loads too much."""

import pytest

from checks.import_budget import find_excesses, load_application

ON_SQLITE = {"DATABASE_URL": "sqlite+aiosqlite:///./never-opened.db"}


def test_an_excess_names_the_modules_and_who_imports_them() -> None:
    loaded = {"redis": {"redis.client": "app.core.rate_limit", "redis": "app.core.rate_limit"}}

    [excess] = find_excesses(loaded, {"redis": 1})

    assert "redis: 2 modules, and 1 are allowed" in excess
    assert "2 through app.core.rate_limit: redis.client, redis" in excess


@pytest.mark.parametrize("budget", [{"redis": 1}, {"redis": 2}])
def test_what_is_allowed_is_no_excess(budget: dict[str, int]) -> None:
    assert find_excesses({"redis": {"redis": "app.core.rate_limit"}}, budget) == []


def test_a_package_without_a_budget_may_not_be_loaded() -> None:
    assert len(find_excesses({"numpy": {"numpy": "app.main"}}, {})) == 1


def test_a_start_on_sqlite_loads_nothing_of_servers_that_it_does_without() -> None:
    loaded = load_application(ON_SQLITE)

    assert loaded["limits"]["limits"] == "app.core.rate_limit"
    assert not loaded.keys() & {"aiosmtplib", "app", "asyncpg", "redis", "valkey", "zxcvbn"}


def test_a_start_loads_nothing_of_what_is_hidden() -> None:
    loaded = load_application(ON_SQLITE)

    assert "structlog" in loaded
    assert not loaded.keys() & {"attr", "pygments", "rich"}
