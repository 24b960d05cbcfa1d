"""`copy-database` copies everything or nothing, from SQLite to PostgreSQL and back."""

import asyncio
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, make_url, select, update
from sqlalchemy.exc import ProgrammingError

from examples.catalogue.core.config import Settings
from examples.catalogue.db.session import Database
from examples.catalogue.main import create_app
from examples.catalogue.models.item import Item
from examples.catalogue.models.user import User
from examples.catalogue.project import project
from examples.catalogue.tests.api import Api
from mscr.cli import copying
from mscr.cli.copying import _copy, _explained
from mscr.cli.faults import Fault
from mscr.testing.applications import running
from mscr.testing.databases import on_sqlite
from mscr.testing.table_rows import all_rows
from mscr.testing.tokens import rotated
from mscr.testing.waiting import connection_to
from mscr.tests.support.command_line import Cli, assert_refused, query, run_here

ITEMS = "/api/v1/items"


@pytest.fixture
def other_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield the URL of a migrated, empty database of the other kind."""
    if backend == "postgresql":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "other.db")
        yield f"sqlite+aiosqlite:///{tmp_path}/other.db"
        return
    server = request.getfixturevalue("postgres")
    name = f"other_{secrets.token_hex(8)}"
    template = request.getfixturevalue("postgres_template")
    asyncio.run(server.create_database(name, template=template))
    yield server.url(name)
    asyncio.run(server.drop_database(name))


async def test_the_application_works_with_the_other_database(
    other_url: str, api: Api, database: Database, settings: Settings, tmp_path: Path
) -> None:
    """All rows match, soft-deleted ones too. Sessions, search and new rows work on the target."""
    account = await api.register()
    gone = await api.create_item(account, title="Gone", tags=["home"])
    await api.create_item(account, title="Grüße \u2603", tags=["home", "work"])
    await api.client.delete(f"{ITEMS}/{gone['public_id']}", headers=account.headers)
    tokens = await rotated(api, account.refresh_token)
    before = await all_rows(database)

    finished = Cli(tmp_path, other_url).run("copy-database", "--from", settings.DATABASE_URL)

    assert finished.returncode == 0, finished.stderr
    assert "copied 2 rows of items" in finished.stdout
    there = settings.model_copy(update={"DATABASE_URL": other_url})
    other = Database(there)
    assert await all_rows(other) == before
    async with running(create_app(there)) as client:
        elsewhere = Api(client, other)
        await rotated(elsewhere, tokens["refresh_token"])
        found = await client.get(f"{ITEMS}/search?q=grusse", headers=account.headers)
        assert [item["title"] for item in found.json()["data"]] == ["Grüße \u2603"]
        await elsewhere.create_item(await elsewhere.register(), tags=["new"])
    await other.close()


@on_sqlite
async def test_a_row_that_does_not_fit_is_one_line_and_nothing_is_written(
    other_url: str, api: Api, database: Database, database_url: str, tmp_path: Path
) -> None:
    account = await api.register()
    await api.create_item(account)
    async with database.sessions.begin() as session:
        await session.execute(update(Item).values(title="canary" * 50))

    finished = Cli(tmp_path, other_url).run("copy-database", "--from", database_url)

    assert_refused(finished, "table items, row id=1: title has 300 characters, and 200 fit")
    assert "canary" not in finished.stderr
    async with connection_to(other_url) as connection:
        assert await connection.scalar(select(func.count()).select_from(User)) == 0


@on_sqlite
async def test_a_target_with_rows_is_refused(other_url: str, api: Api, database_url: str) -> None:
    await api.register()
    counts, is_stale = await _copy(project, make_url(database_url), make_url(other_url), 10, print)
    assert (counts["users"], is_stale) == (1, False)

    with pytest.raises(Fault, match=r"the target is not empty.*has rows"):
        await _copy(project, make_url(database_url), make_url(other_url), 10, print)


@on_sqlite
async def test_a_database_that_is_not_at_head_is_refused(
    other_url: str, database_url: str, tmp_path: Path
) -> None:
    old, new, target = (
        make_url(url) for url in (f"sqlite+aiosqlite:///{tmp_path}/old.db", database_url, other_url)
    )
    with pytest.raises(Fault, match=r"old.db is empty.*alembic -x url="):
        await _copy(project, old, target, 10, print)
    async with connection_to(database_url) as connection:
        await connection.exec_driver_sql("ALTER TABLE users DROP COLUMN full_name")

    with pytest.raises(Fault, match=r"column users.full_name is missing.*doctor"):
        await _copy(project, new, target, 10, print)


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ("nonsense", "sqlite:///a.db", ("--from: ",)),
        ("sqlite:///a.db", "mysql://a/b", ("--to: ",)),
        ("sqlite:///a.db", "", ("--to: ",)),
        ("sqlite:///a.db", "sqlite:///./a.db", ("the same database",)),
        ("sqlite:///missing.db", "sqlite:///a.db", ("missing.db does not exist",)),
        (
            "postgresql://app:canary@127.0.0.1:1/app",
            "sqlite:///a.db",
            ("cannot use PostgreSQL 127.0.0.1:1/app",),
        ),
    ],
)
def test_an_unusable_url_is_one_line(source: str, target: str, words: tuple[str, ...]) -> None:
    refused = run_here("copy-database", "--from", source, "--to", target)

    assert_refused(refused, *words)
    assert "canary" not in refused.stderr


def test_concurrent_writes_are_not_copied_and_are_reported(
    tmp_path: Path,
    sqlite_template: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = Cli.migrated(tmp_path, sqlite_template)
    shutil.copy(sqlite_template, tmp_path / "target.db")
    add = "INSERT INTO users (public_id, email, email_key, password_hash) VALUES (?, ?, ?, '!')"
    query(source, "PRAGMA journal_mode = WAL")  # as the application sets it
    query(source, add, "a", "a", "a")

    @contextmanager
    def writing(_: str) -> Iterator[Callable[[int], None]]:
        def write(_: int) -> None:
            query(source, add, "b", "b", "b")

        yield write

    monkeypatch.setattr(copying, "progress", writing)
    target = f"sqlite+aiosqlite:///{tmp_path}/target.db"
    finished = run_here("copy-database", "--from", source.url, "--to", target, "--batch", "10")

    assert "copied 1 rows of users" in finished.stdout
    assert "written to during the copy" in finished.stderr
    assert query(source, "SELECT count(*) FROM users") == [(2,)]


def test_a_fault_of_the_program_keeps_its_traceback() -> None:
    error = ProgrammingError("SELECT", {}, RuntimeError("a bug"))

    with pytest.raises(ProgrammingError), _explained(make_url("sqlite:///a.db"), "--to"):
        raise error
