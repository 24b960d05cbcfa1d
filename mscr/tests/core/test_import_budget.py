"""The import budget: `make check` fails when start-up loads too many modules."""

import subprocess
import sys
from pathlib import Path

import pytest

from examples.catalogue.project import project
from mscr.checks.import_budget import find_excesses, load_application, main

ON_SQLITE = {"DATABASE_URL": "sqlite+aiosqlite:///./never-opened.db"}


def test_an_excess_names_the_modules_and_their_importers() -> None:
    loaded = {"redis": {"redis.client": "mscr.core.rate_limit", "redis": "mscr.core.rate_limit"}}

    [excess] = find_excesses(loaded, {"redis": 1})

    assert "redis: 2 modules, and 1 are allowed" in excess
    assert "2 through mscr.core.rate_limit: redis.client, redis" in excess


@pytest.mark.parametrize("budget", [{"redis": 1}, {"redis": 2}])
def test_a_package_within_its_budget_is_no_excess(budget: dict[str, int]) -> None:
    assert find_excesses({"redis": {"redis": "mscr.core.rate_limit"}}, budget) == []


def test_a_package_without_a_budget_may_not_be_loaded() -> None:
    assert len(find_excesses({"numpy": {"numpy": "examples.catalogue.main"}}, {})) == 1


def test_a_start_on_sqlite_loads_no_packages_of_other_servers() -> None:
    loaded = load_application(project, ON_SQLITE)

    assert loaded["limits"]["limits"] == "mscr.core.rate_limit"
    assert not loaded.keys() & {"aiosmtplib", "app", "asyncpg", "redis", "valkey"}


def test_a_start_loads_no_hidden_package() -> None:
    loaded = load_application(project, ON_SQLITE)

    assert "structlog" in loaded
    assert not loaded.keys() & {"attr", "pygments", "rich"}


def test_a_start_loads_no_support_of_tests() -> None:
    """The import contract says so; this also sees what is imported by name."""
    found = "[name for name in sys.modules if name.startswith('mscr.testing')]"
    code = f"import examples.catalogue.main, sys; print({found})"

    loaded = subprocess.check_output([sys.executable, "-c", code], cwd=project.import_root)  # noqa: S603  # ours

    assert loaded == b"[]\n"


def test_a_start_within_its_budget_passes_and_any_more_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "budget.json"
    main(project, file, ["--write"])

    main(project, file, [])

    assert "SQLite alone: " in capsys.readouterr().out
    file.write_text(file.read_text().replace('"fastapi"', '"flask"'))
    with pytest.raises(SystemExit, match="a start loads more modules than allowed"):
        main(project, file, [])
    assert "SQLite alone: fastapi: " in capsys.readouterr().err
