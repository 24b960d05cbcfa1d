"""`worker`, without a database, `list-jobs`, `retry-jobs` and `drop-jobs`."""

from pathlib import Path
from uuid import uuid4

import pytest

from mscr.tests.support.command_line import Cli, assert_refused, query

NOW = "2026-12-01 12:00:00.000000"


@pytest.fixture
def cli(tmp_path: Path, sqlite_template: Path) -> Cli:
    return Cli.migrated(tmp_path, sqlite_template)


def insert(cli: Cli, name: str, *, dead: bool = False) -> str:
    public_id = str(uuid4())
    query(
        cli,
        "INSERT INTO jobs (public_id, name, data, due_at, gives_up_at, attempts, fault, dead_at)"
        " VALUES (?, ?, 'gAAAA secret', ?, ?, 3, 'OSError', ?)",
        public_id,
        name,
        NOW,
        NOW,
        NOW if dead else None,
    )
    return public_id


def test_jobs_are_listed_without_their_data(cli: Cli) -> None:
    waiting, dead = insert(cli, "a.b"), insert(cli, "c.d", dead=True)

    rows = cli.json("list-jobs", "--json")
    assert [(row["id"], row["name"], row["state"]) for row in rows] == [
        (waiting, "a.b", "waiting"),
        (dead, "c.d", "dead"),
    ]
    assert [row["id"] for row in cli.json("list-jobs", "--dead", "--json")] == [dead]
    printed = cli.run("list-jobs").stdout
    assert dead in printed
    assert "secret" not in printed


def test_an_empty_outbox_is_said(cli: Cli) -> None:
    finished = cli.run("list-jobs")

    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "no jobs\n")


def test_dead_jobs_are_retried_or_dropped_one_or_all(cli: Cli) -> None:
    waiting = insert(cli, "a.b")
    first, second, third = (insert(cli, "c.d", dead=True) for _ in range(3))

    assert cli.run("retry-jobs", first).stdout == "1 dead jobs are due again\n"
    assert cli.run("drop-jobs", second).stdout == "dropped 1 dead jobs\n"
    assert cli.run("drop-jobs").stdout == "dropped 1 dead jobs\n"
    assert cli.run("retry-jobs").stdout == "0 dead jobs are due again\n"

    rows = query(cli, "SELECT public_id, dead_at, gives_up_at > due_at FROM jobs ORDER BY id")
    assert rows == [(waiting, None, 0), (first, None, 1)]
    assert third not in str(rows)


def test_jobs_that_died_long_ago_are_deleted_in_batches(cli: Cli) -> None:
    waiting = insert(cli, "a.b")
    for _ in range(3):
        insert(cli, "c.d", dead=True)

    assert cli.run("cleanup-jobs", "--older-than-days=36500").stdout == "deleted 0 dead jobs\n"
    query(cli, "UPDATE jobs SET dead_at = '2026-01-01 12:00:00.000000' WHERE dead_at IS NOT NULL")
    assert cli.run("cleanup-jobs", "--batch=2").stdout == "deleted 3 dead jobs\n"
    assert query(cli, "SELECT public_id FROM jobs") == [(waiting,)]


@pytest.mark.parametrize("command", ["retry-jobs", "drop-jobs"])
def test_a_job_that_is_not_dead_is_refused(cli: Cli, command: str) -> None:
    waiting = insert(cli, "a.b")

    assert_refused(cli.run(command, waiting), waiting, "list-jobs --dead")
    assert query(cli, "SELECT public_id FROM jobs") == [(waiting,)]


@pytest.mark.parametrize("command", ["retry-jobs", "drop-jobs"])
def test_production_needs_consent(cli: Cli, command: str) -> None:
    production = {
        "ENVIRONMENT": "production",
        "ARGON2_MEMORY_KIB": "19456",
        "ARGON2_TIME_COST": "2",
    }

    assert_refused(cli.run(command, **production), "production", "--yes")


def test_a_worker_without_a_usable_database_ends_with_one_line(tmp_path: Path) -> None:
    assert_refused(Cli(tmp_path).run("worker"), "init-db")
