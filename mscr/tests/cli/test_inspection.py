"""`doctor` and `routes`."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from mscr.testing.postgres import PostgresServer
from mscr.testing.processes import free_port
from mscr.testing.routes import FILES, routes_of
from mscr.testing.valkey import ValkeyServer
from mscr.tests.support.command_line import Cli, query

Findings = dict[str, dict[str, Any]]


@pytest.fixture
def cli(tmp_path: Path, sqlite_template: Path) -> Cli:
    return Cli.migrated(tmp_path, sqlite_template)


def failures(cli: Cli, **settings: str) -> Findings:
    """Return `doctor`'s failures by the name of the check. Its exit status must match."""
    finished = cli.run("doctor", "--json", **settings)
    report = json.loads(finished.stdout)
    wrong = {found["check"]: found for found in report["findings"] if found["remedy"]}
    assert report["healthy"] is not bool(wrong)
    assert finished.returncode == bool(wrong)
    return wrong


async def test_a_healthy_installation_has_no_failures(
    tmp_path: Path, database_url: str, valkey: ValkeyServer
) -> None:
    finished = Cli(tmp_path, database_url).run("doctor", REDIS_URL=valkey.url)

    assert finished.returncode == 0, finished.stdout
    states = {line.split()[1]: line.split()[0] for line in finished.stdout.splitlines()}
    assert states == dict.fromkeys(
        (".env", "settings", "database", "migrations", "redis", "templates", "passwords"), "ok"
    )
    assert "ms a hash" in finished.stdout


def test_a_failure_is_one_line_with_its_remedy(tmp_path: Path) -> None:
    finished = Cli(tmp_path).run("doctor")

    (line,) = [line for line in finished.stdout.splitlines() if line.startswith("FAILED")]
    assert finished.returncode == 1
    assert "database" in line
    assert "python cli.py init-db" in line


def test_a_missing_folder_is_reported(cli: Cli, tmp_path: Path) -> None:
    """A migration would fail in it."""
    url = f"sqlite+aiosqlite:///{tmp_path}/missing/app.db"

    assert failures(cli, DATABASE_URL=url)["database"]["remedy"] == (
        f"create the folder {tmp_path}/missing"
    )


def test_a_misspelled_setting_is_reported_with_the_right_name(cli: Cli) -> None:
    cli.env_file.write_text("DATABSE_URL=x\nport=8000\n")

    wrong = failures(cli)

    assert wrong.keys() == {".env"}
    assert wrong[".env"]["detail"] == "DATABSE_URL is not a setting"
    assert wrong[".env"]["remedy"] == "rename it to DATABASE_URL"


def test_an_unknown_setting_is_reported(cli: Cli) -> None:
    cli.env_file.write_text("FROBNICATION=yes\n")

    assert failures(cli)[".env"]["remedy"] == "remove it: nothing reads it"


def test_faults_of_the_settings_are_reported_and_skip_other_checks(cli: Cli) -> None:
    wrong = failures(cli, SECRET_KEY="canary-canary", REDIS_URL="redis://127.0.0.1:1")

    assert wrong.keys() == {"settings"}
    assert "SECRET_KEY" in wrong["settings"]["detail"]
    assert "canary" not in str(wrong)


def test_checking_the_database_does_not_create_it(tmp_path: Path) -> None:
    cli = Cli(tmp_path)

    assert "does not exist" in failures(cli)["database"]["detail"]
    assert not cli.database.exists()


def test_an_unreachable_database_is_reported(tmp_path: Path) -> None:
    cli = Cli(tmp_path, f"postgresql+asyncpg://app:canary@127.0.0.1:{free_port()}/app")

    wrong = failures(cli)

    assert wrong.keys() == {"database"}
    assert "canary" not in str(wrong)


async def test_an_empty_database_is_reported(tmp_path: Path, postgres: PostgresServer) -> None:
    wrong = failures(Cli(tmp_path, postgres.url("postgres")))

    assert "empty" in wrong["migrations"]["detail"]
    assert "init-db" in wrong["migrations"]["remedy"]


def test_a_database_of_other_code_is_reported(cli: Cli) -> None:
    query(cli, "UPDATE alembic_version SET version_num = '9999'")

    wrong = failures(cli)

    assert "9999, which this code does not have" in wrong["migrations"]["detail"]


def test_an_unreachable_redis_is_reported_without_its_password(cli: Cli) -> None:
    wrong = failures(cli, REDIS_URL=f"redis://app:canary@127.0.0.1:{free_port()}/0")

    assert wrong.keys() == {"redis"}
    assert "REDIS_URL" in wrong["redis"]["remedy"]
    assert "canary" not in str(wrong)


def test_routes_are_listed_with_the_access_they_need(cli: Cli) -> None:
    access = {(row["method"], row["path"]): row["access"] for row in cli.json("routes")}

    assert access["GET", "/health/live"] == "public"
    assert access["POST", "/api/v1/auth/login"] == "public"
    assert access["GET", "/api/v1/articles"] == "user or public"
    assert access["POST", "/api/v1/articles"] == "user"
    assert access["GET", "/api/v1/items"] == "user"
    assert access["GET", "/api/v1/users/me"] == "user"
    assert access["GET", "/api/v1/users"] == "users:read"
    assert access["POST", "/api/v1/users/{public_id}/deactivate"] == "users:manage"


def test_routes_are_those_of_the_application(cli: Cli, app: FastAPI) -> None:
    listed = [f"{row['method']} {row['path']}" for row in cli.json("routes")]

    assert sorted(listed) == sorted(route.replace(FILES, "ANY") for route in routes_of(app))


def test_routes_have_the_prefixed_paths_of_clients(cli: Cli) -> None:
    paths = {row["path"] for row in cli.json("routes", ROOT_PATH="/svc")}

    assert {"/svc/health/live", "/svc/api/v1/items", "/svc/docs"} <= paths
    assert all(path.startswith("/svc/") for path in paths)


def test_routes_are_printed_as_a_table(cli: Cli) -> None:
    finished = cli.run("routes")

    assert finished.returncode == 0
    (line,) = [line for line in finished.stdout.splitlines() if "/items/search" in line]
    assert line.split() == ["GET", "/api/v1/items/search", "search_items", "user"]
