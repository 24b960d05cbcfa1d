"""`copy-database`: everything or nothing, between databases of either kind."""

import asyncio
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, make_url, select, update
from sqlalchemy.exc import ProgrammingError

from app.cli.copying import _copy, _explained, copy_database
from app.cli.faults import Fault
from app.core.config import Settings
from app.db.session import Database
from app.models import Item, User
from tests.data.faults import connection_to
from tests.support.api import Api
from tests.support.applications import running
from tests.support.databases import on_sqlite
from tests.support.table_rows import all_rows
from tests.support.tokens import rotated
from tests.test_cli import Cli, assert_refused, query

ITEMS = "/api/v1/items"


@pytest.fixture
def other_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated, empty database of the other kind."""
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


async def test_the_application_goes_on_with_the_other_database(
    other_url: str, api: Api, database: Database, settings: Settings, tmp_path: Path
) -> None:
    """Rows, deleted ones too, are the same; sessions go on, searches find, new rows have room."""
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
    async with running(there) as client:
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
    counts, is_stale = await _copy(make_url(database_url), make_url(other_url), 10, print)
    assert (counts["users"], is_stale) == (1, False)

    with pytest.raises(Fault, match=r"the target is not empty.*has rows"):
        await _copy(make_url(database_url), make_url(other_url), 10, print)


@on_sqlite
async def test_a_database_that_is_not_at_the_newest_is_refused(
    other_url: str, database_url: str, tmp_path: Path
) -> None:
    old, new, target = (
        make_url(url) for url in (f"sqlite+aiosqlite:///{tmp_path}/old.db", database_url, other_url)
    )
    with pytest.raises(Fault, match=r"old.db is empty.*alembic -x url="):
        await _copy(old, target, 10, print)
    async with connection_to(database_url) as connection:
        await connection.exec_driver_sql("ALTER TABLE users DROP COLUMN full_name")

    with pytest.raises(Fault, match=r"column users.full_name is missing.*doctor"):
        await _copy(new, target, 10, print)


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
def test_an_address_that_cannot_be_used_is_one_line(
    source: str, target: str, words: tuple[str, ...]
) -> None:
    with pytest.raises(Fault) as caught:
        copy_database(source, target)

    assert all(word in str(caught.value) for word in words)
    assert "canary" not in str(caught.value)


def test_what_is_written_meanwhile_is_not_copied_and_that_is_told(
    tmp_path: Path,
    sqlite_template: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = Cli.migrated(tmp_path, sqlite_template)
    shutil.copy(sqlite_template, tmp_path / "target.db")
    add = "INSERT INTO users (public_id, email, email_key, password_hash) VALUES (?, ?, ?, '!')"
    query(source, "PRAGMA journal_mode = WAL")  # as the application has it
    query(source, add, "a", "a", "a")

    @contextmanager
    def writing(_: str) -> Iterator[Callable[[int], None]]:
        def write(_: int) -> None:
            query(source, add, "b", "b", "b")

        yield write

    # The package has the group of commands under this name.
    monkeypatch.setattr(sys.modules["app.cli.copying"], "progress", writing)
    copy_database(source.url, f"sqlite+aiosqlite:///{tmp_path}/target.db", batch=10)

    printed = capsys.readouterr()
    assert "copied 1 rows of users" in printed.out
    assert "written to meanwhile" in printed.err
    assert query(source, "SELECT count(*) FROM users") == [(2,)]


def test_a_fault_of_the_program_keeps_its_traceback() -> None:
    error = ProgrammingError("SELECT", {}, RuntimeError("a bug"))

    with pytest.raises(ProgrammingError), _explained(make_url("sqlite:///a.db"), "--to"):
        raise error
