"""The command `remove-example`, in a small project."""

import sqlite3
import subprocess
from contextlib import closing

import pytest

from mscr.tests.scaffold.project import Shop, texts
from mscr.tests.support.command_line import Finished

REMOVE = "remove-example"
MISSING = "postgresql://nobody@127.0.0.1:1/none"


def git(shop: Shop, *arguments: str) -> None:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    command = ["git", *identity, *arguments]
    subprocess.run(  # noqa: S603  # the user's own Git, without a shell
        command, cwd=shop.root, check=True, capture_output=True
    )


# --- the removal


def test_the_example_leaves_no_trace(shop: Shop) -> None:
    finished = shop.run(REMOVE, "--yes")

    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    left = texts(shop.root)
    assert {"shop/thing.py", "shop/example.toml", "tests/test_things.py"}.isdisjoint(left)
    assert left["shop/main.py"] == 'ROUTERS = ["users"]\n'
    assert left["README.md"] == "# Shop\n\nEnd.\n"
    assert left["openapi.json"] == "openapi ['users'] Shop\n"
    assert left["tests/recorded_routes.toml"] == (
        '"GET /thingsets" = { statements = 4 }\n"DELETE /me" = { name = "x", statements = 8 }\n'
    )
    assert left["docs/list.md"] == "GET /things, of the kit\n"


def test_a_project_without_a_record_of_routes_gets_none(shop: Shop) -> None:
    (shop.root / "tests/recorded_routes.toml").unlink()

    assert shop.run(REMOVE, "--yes").returncode == 0
    assert not (shop.root / "tests/recorded_routes.toml").exists()


def test_it_asks_first(shop: Shop) -> None:
    before = texts(shop.root)

    refused = shop.run(REMOVE, typed="n\n")

    assert (
        "Remove the example? It also deletes 2_things.py, which this database has not run. "
        "If another database has, pass --drop-table. [y/N]: "
    ) in refused.stdout
    assert refused.stderr == "Error: aborted\n"
    assert texts(shop.root) == before
    assert shop.run(REMOVE, typed="y\n").returncode == 0
    assert not (shop.root / "shop/thing.py").exists()


def test_a_dry_run_shows_the_changes_and_writes_nothing(shop: Shop) -> None:
    before = texts(shop.root)

    finished = shop.run(REMOVE, "--dry-run")

    assert '-ROUTERS = ["users", thing.ROUTER]\n+ROUTERS = ["users"]\n' in finished.stdout
    assert "--- a/shop/thing.py\n+++ /dev/null\n" in finished.stdout
    assert finished.stderr == (
        "9 files would change; nothing was written. It asks: Remove the example? "
        "It also deletes 2_things.py, which this database has not run. "
        "If another database has, pass --drop-table.\n"
    )
    assert texts(shop.root) == before


# --- the owner's changes


def test_it_is_removed_once(shop: Shop) -> None:
    shop.run(REMOVE, "--yes")

    shop.assert_refuses(REMOVE, "the example was removed already: there is no shop/example.toml")


def test_code_that_uses_it_is_named(shop: Shop) -> None:
    (shop.root / "shop/mine.py").write_text(
        "from typing import Any\n\nfrom shop.thing import Thing\n\n"
        'A = Thing\nB: "list[Any]" = [ForeignKey("things.id"), db.relationship("Thing")]\n'
        'C: Mapped["Thing"]\nD = ForeignKey("things")\n'
    )

    shop.assert_refuses(
        REMOVE,
        "your code uses the example: change these lines first",
        "shop/mine.py:3 uses Thing",
        "shop/mine.py:4 uses Thing",
        "shop/mine.py:4 uses things.id",
        "shop/mine.py:5 uses Thing",
    )


def test_mentions_and_changed_passages_are_left_to_the_owner(shop: Shop) -> None:
    shop.edit("README.md", "things.\n", "things.\nAnd more, in shop/thing.py.\n")
    (shop.root / "tests/test_mine.py").write_text('PATH = "/things"\nOTHER = "/thingsets"\n')

    finished = shop.run(REMOVE, "--yes")

    assert finished.stderr.splitlines() == [
        "left to you: README.md:3 was changed: remove the example there",
        "left to you: tests/test_mine.py:1 mentions /things",
        "left to you: README.md:4 mentions shop/thing.py",
    ]


def test_a_passage_that_the_owner_removed_is_no_fault(shop: Shop) -> None:
    shop.edit("README.md", "It has things.\n\n", "")

    assert shop.run(REMOVE, "--yes").stderr == ""


def test_an_application_that_would_not_start_is_left_as_it_is(shop: Shop) -> None:
    shop.edit("shop/main.py", "\nROUTERS", "\n1 / 0\nROUTERS")

    shop.assert_refuses(
        REMOVE,
        "without the example, the application does not start: ZeroDivisionError: division by zero",
    )


def test_uncommitted_changes_are_not_lost(shop: Shop) -> None:
    git(shop, "init")
    git(shop, "add", ".")
    git(shop, "commit", "-m", "Begin")
    shop.edit("shop/thing.py", "things", "goods")

    shop.assert_refuses(
        REMOVE, "uncommitted changes would be lost in shop/thing.py; commit them first"
    )

    git(shop, "commit", "-am", "Change")
    assert shop.run(REMOVE, "--yes").returncode == 0


def test_it_works_without_git(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(shop.root))

    assert shop.run(REMOVE, "--yes").returncode == 0


# --- the migrations


def test_a_migration_that_no_database_has_run_is_deleted_with_its_hash(shop: Shop) -> None:
    finished = shop.run(REMOVE, "--yes")

    assert "it deletes 2_things.py, which this database has not run" in finished.stdout
    assert "alembic" not in finished.stdout
    left = texts(shop.root)
    assert "migrations/versions/2_things.py" not in left
    assert left["migrations/versions/released.txt"] == "aa  1_accounts.py\n"


def test_a_history_without_recorded_releases_gets_no_record(shop: Shop) -> None:
    (shop.root / "migrations/versions/released.txt").unlink()

    assert shop.run(REMOVE, "--yes").returncode == 0
    assert not (shop.root / "migrations/versions/released.txt").exists()


def added_migration(shop: Shop, finished: Finished) -> str:
    assert finished.returncode == 0, finished.stderr
    assert "next: alembic upgrade head && make record" in finished.stdout
    assert (shop.root / "migrations/versions/2_things.py").exists()
    [added] = (shop.root / "migrations/versions").glob("*_drop_things.py")
    assert f"it adds {added.name}, which deletes the table things with its rows" in finished.stdout
    return added.read_text()


def test_a_table_of_this_database_is_dropped_by_a_migration(shop: Shop) -> None:
    shop.make_table()

    text = added_migration(shop, shop.run(REMOVE, "--yes"))

    assert 'down_revision: str | Sequence[str] | None = "2"' in text
    assert 'get_revision("2").module.upgrade()' in text


def test_the_question_about_a_table_that_is_dropped_names_its_migration_alone(shop: Shop) -> None:
    shop.make_table()

    question = shop.run(REMOVE, "--dry-run").stderr

    assert question.endswith("_drop_things.py, which deletes the table things with its rows.\n")


def test_a_table_of_other_databases_is_dropped_on_request(shop: Shop) -> None:
    added_migration(shop, shop.run(REMOVE, "--yes", "--drop-table"))


def test_later_migrations_follow_the_one_that_made_the_table(shop: Shop) -> None:
    later = 'revision = "3"\ndown_revision = "2"\n\n\ndef upgrade() -> None: ...\n'
    (shop.root / "migrations/versions/3_more.py").write_text(later)

    text = added_migration(shop, shop.run(REMOVE, "--yes"))

    assert 'down_revision: str | Sequence[str] | None = "3"' in text
    assert 'get_revision("2").module.upgrade()' in text


@pytest.mark.parametrize("env_file", [True, False])
def test_a_new_database_has_no_table(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, env_file: bool
) -> None:
    if env_file:
        (shop.root / ".env").write_text("")
        with closing(sqlite3.connect(shop.root / "app.db")) as connection:
            connection.execute("CREATE TABLE others (id INTEGER)")
    else:
        monkeypatch.setenv("DATABASE_URL", shop.url)

    assert "it deletes 2_things.py" in shop.run(REMOVE, "--yes").stdout


def test_a_database_that_cannot_be_reached_is_named(shop: Shop) -> None:
    (shop.root / ".env").write_text("")
    shop.url = MISSING
    before = texts(shop.root)

    finished = shop.run(REMOVE, "--yes")

    assert finished.returncode == 1
    assert "cannot use" in finished.stderr
    assert texts(shop.root) == before


def test_a_history_with_two_heads_must_be_merged_first(shop: Shop) -> None:
    other = 'revision = "3"\ndown_revision = "1"\n\n\ndef upgrade() -> None: ...\n'
    (shop.root / "migrations/versions/3_more.py").write_text(other)

    shop.assert_refuses(
        REMOVE, "the migrations have 2 heads: merge them first (alembic merge heads)"
    )


def test_a_missing_migration_is_named(shop: Shop) -> None:
    (shop.root / "migrations/versions/2_things.py").unlink()

    shop.assert_refuses(REMOVE, "there is no migrations/versions/2_things.py: restore it")
