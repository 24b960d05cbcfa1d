"""`seed`, and the commands that clean up."""

import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from httpx2 import AsyncClient
from sqlalchemy import select

from examples.catalogue.core.config import Settings
from examples.catalogue.db.init_db import seed_demo_data
from examples.catalogue.db.session import Database
from examples.catalogue.models.base import Base
from examples.catalogue.models.item import Item, ItemStatus
from examples.catalogue.models.kit_tables import AuditEvent, RefreshToken
from examples.catalogue.models.user import User
from examples.catalogue.project import project
from examples.catalogue.tests.api import Api
from mscr.cli.audit import audit_trail
from mscr.cli.command_line import USAGE_ERROR
from mscr.models.base import utcnow
from mscr.repositories.deleted_row_repository import DeletedRowRepository
from mscr.testing.databases import on_postgresql, on_sqlite
from mscr.testing.table_rows import all_rows
from mscr.testing.walking import fetch
from mscr.tests.support.command_line import Cli, assert_refused, query
from mscr.tests.support.paths import REPOSITORY


@pytest.fixture
def cli(tmp_path: Path, sqlite_template: Path) -> Cli:
    return Cli.migrated(tmp_path, sqlite_template)


@pytest.fixture
def both(tmp_path: Path, database_url: str) -> Cli:
    """Return a command line for each database, SQLite and PostgreSQL."""
    return Cli(tmp_path, database_url)


def passwords_in(output: str) -> dict[str, str]:
    return dict(re.findall(r"^ +(\S+@\S+) +(\S+) ", output, re.MULTILINE))


# --- seed


async def test_seed_makes_accounts_that_can_log_in(both: Cli, client: AsyncClient) -> None:
    finished = both.run("seed")

    assert finished.returncode == 0
    passwords = passwords_in(finished.stdout)
    assert passwords.keys() == {"admin@example.com", "user@example.com"}
    for email, password in passwords.items():
        body = {"email": email, "password": password}
        response = await client.post("/api/v1/auth/login", json=body)
        assert response.status_code == 200, response.text
    roles = {user["email"]: user["role"] for user in both.json("list-users")["users"]}
    assert roles == {"admin@example.com": "admin", "user@example.com": "user"}


def test_seed_makes_new_passwords_in_each_database(tmp_path: Path, sqlite_template: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    outputs = [
        Cli.migrated(tmp_path / folder, sqlite_template).run("seed").stdout for folder in "ab"
    ]

    passwords = {*passwords_in(outputs[0]).values(), *passwords_in(outputs[1]).values()}

    assert len(passwords) == 4


def test_seed_stores_no_password_in_plaintext(cli: Cli) -> None:
    passwords = passwords_in(cli.run("seed").stdout).values()

    content = b"".join(file.read_bytes() for file in cli.database.parent.glob("app.db*"))
    assert b"admin@example.com" in content
    for password in passwords:
        assert password.encode() not in content


def test_seed_makes_items_in_every_state(cli: Cli) -> None:
    cli.run("seed")

    states = query(cli, "SELECT DISTINCT status, is_deleted FROM items")
    assert {state for state, deleted in states if not deleted} == {"draft", "active", "archived"}
    assert any(deleted for _, deleted in states)
    assert query(cli, "SELECT count(*) FROM items") == [(20,)]


async def test_a_second_seed_changes_nothing_and_reports_it(both: Cli, database: Database) -> None:
    both.run("seed")
    before = await all_rows(database)

    finished = both.run("seed")

    assert finished.returncode == 0
    assert "nothing was changed" in finished.stdout
    assert passwords_in(finished.stdout) == {}
    assert await all_rows(database) == before


def test_seed_leaves_an_existing_account_with_a_demo_address_alone(cli: Cli) -> None:
    columns = "(public_id, email, email_key, password_hash)"
    query(cli, f"INSERT INTO users {columns} VALUES ('u', 'U', 'user@example.com', '!')")  # noqa: S608 - no value comes from outside

    assert "nothing was changed" in cli.run("seed").stdout
    assert query(cli, "SELECT count(*) FROM users") == [(1,)]


def test_seed_that_fails_halfway_leaves_nothing(cli: Cli) -> None:
    trigger = "CREATE TRIGGER full BEFORE INSERT ON items WHEN new.title = 'Demo item 19' "
    query(cli, trigger + "BEGIN SELECT RAISE(ABORT, 'full'); END")

    assert cli.run("seed").returncode == 1
    assert query(cli, "SELECT count(*) FROM users") == [(0,)]


def test_two_concurrent_seeds_create_one_set(both: Cli) -> None:
    processes = [
        subprocess.Popen(  # noqa: S603 - the project's own command
            both.command("seed"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env=both.environment(),
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=60) for process in processes]

    assert [process.returncode for process in processes] == [0, 0], outputs
    assert sorted(len(passwords_in(out)) for out, _ in outputs) == [0, 2]
    assert both.json("list-users")["total"] == 2


@on_sqlite
async def test_seed_that_loses_a_race_changes_nothing(
    cli: Cli, settings: Settings, database: Database
) -> None:
    cli.database = Path(settings.database_url.database or "")

    def somebody_else_is_faster(_: int) -> None:
        columns = "(public_id, email, email_key, password_hash)"
        row = "('u', 'user@example.com', 'user@example.com', '!')"
        query(cli, f"INSERT OR IGNORE INTO users {columns} VALUES {row}")  # noqa: S608 - no value comes from outside

    async with database.sessions() as session:
        audit = audit_trail(project, session, "seed")
        accounts = await seed_demo_data(session, settings, audit, on_step=somebody_else_is_faster)

    assert accounts == []
    assert query(cli, "SELECT email FROM users") == [("user@example.com",)]
    assert events(cli) == set()


def test_seed_is_in_the_audit_log(cli: Cli) -> None:
    """AU1: one of the accounts is an administrator, whom nobody registered."""
    cli.run("seed")

    told = query(
        cli,
        "SELECT operation, action, outcome, actor_public_id, address, email FROM audit_events "
        "JOIN users ON users.public_id = account_public_id ORDER BY audit_events.id",
    )
    by_command = ("seed", "create_user", "success", None, "command line")
    assert told == [(*by_command, "admin@example.com"), (*by_command, "user@example.com")]


def test_seed_obeys_the_longest_minimum_for_passwords(cli: Cli) -> None:
    finished = cli.run("seed", PASSWORD_MIN_LENGTH="64")

    assert all(len(password) >= 64 for password in passwords_in(finished.stdout).values())


# --- seed --items


async def test_seed_adds_items_up_to_a_number_and_may_run_twice(
    both: Cli, api: Api, database: Database
) -> None:
    """Seeded items have tags, every status, and owners that cannot log in. Others do not count."""
    await api.create_item(await api.register())
    outputs = [both.run("seed", f"--items={number}").stdout for number in (30, 1500, 1500, 20)]

    added = [30, 1470, 0, 0]
    assert [int(output.split()[1]) for output in outputs] == added
    rows = await all_rows(database)
    assert (len(rows["users"]), len(rows["items"])) == (1 + 2, 1 + 1500)
    reader = await api.register()
    page = await fetch(api, reader, "/api/v1/items", sort="title", per_page=100)
    assert page["meta"]["total"] == 1500 * 92 // 100
    tag = next(tag for row in page["data"] for tag in row["tags"])
    tagged = await fetch(api, reader, "/api/v1/items", tag=tag["public_id"])
    assert tag in tagged["data"][0]["tags"]
    assert (await fetch(api, reader, "/api/v1/items/search", q="milk"))["data"] != []
    async with database.read_sessions() as session:
        assert {*await session.scalars(select(Item.status))} == {*ItemStatus}
        for item in await session.scalars(select(Item).limit(50)):
            assert str(UUID(item.public_id)) == item.public_id
            assert item.created_at <= item.updated_at <= utcnow()
    failed = await api.try_login("owner-0@seeded.example", "!")
    assert failed.status_code == 401


def test_an_interrupted_seed_can_be_resumed(cli: Cli) -> None:
    cli.run("seed", "--items=20")
    trigger = (
        "CREATE TRIGGER full BEFORE INSERT ON item_tags BEGIN SELECT RAISE(ABORT, 'full'); END"
    )
    query(cli, trigger)
    assert cli.run("seed", "--items=40").returncode == 1
    assert query(cli, "SELECT count(*) FROM items") == [(20,)]
    query(cli, "DROP TRIGGER full")

    assert cli.run("seed", "--items=40").stdout.startswith("added 20 items")


# --- production


@pytest.mark.parametrize(
    "command",
    ["seed", "cleanup-tokens", "cleanup-audit", "cleanup-idempotency-keys", "purge-deleted"],
)
def test_production_refuses_without_consent(cli: Cli, command: str) -> None:
    assert_refused(cli.run(command, **PRODUCTION), "production", "--yes")
    assert query(cli, "SELECT count(*) FROM users") == [(0,)]


def test_production_gets_no_seeded_items_without_consent(cli: Cli) -> None:
    assert_refused(cli.run("seed", "--items=1", **PRODUCTION), "production", "--yes")
    assert query(cli, "SELECT count(*) FROM users") == [(0,)]


def test_production_obeys_with_consent(cli: Cli) -> None:
    assert cli.run("cleanup-tokens", "--yes", **PRODUCTION).returncode == 0


PRODUCTION = {
    "ENVIRONMENT": "production",
    "ARGON2_MEMORY_KIB": "19456",
    "ARGON2_TIME_COST": "2",
}


# --- cleanup-tokens

ENDED_LONG_AGO = timedelta(days=31)
ENDED_LATELY = timedelta(days=29)


def add_login(
    cli: Cli,
    name: str,
    *,
    expired: timedelta | None = None,
    idle: timedelta | None = None,
    revoked: timedelta | None = None,
) -> None:
    """Insert a session that ended this long ago in one of three ways, or else is active."""
    query(
        cli,
        "INSERT OR IGNORE INTO users (id, public_id, email, email_key, password_hash) "
        "VALUES (1, 'u', 'u', 'u', '!')",
    )
    now = datetime.now(UTC).replace(tzinfo=None)
    later = now + timedelta(days=30)
    query(
        cli,
        "INSERT INTO refresh_tokens (public_id, user_id, seed, auth_version, authenticated_at, "
        "rotated_at, expires_at, idle_expires_at, revoked_at) "
        "VALUES (?, 1, x'00', 1, ?, ?, ?, ?, ?)",
        name,
        f"{now}",
        f"{now}",
        f"{now - expired if expired else later}",
        f"{now - idle if idle else later}",
        f"{now - revoked}" if revoked else None,
    )


def logins(cli: Cli) -> set[str]:
    return {name for (name,) in query(cli, "SELECT public_id FROM refresh_tokens")}


def test_cleanup_deletes_only_sessions_that_ended_long_ago(cli: Cli) -> None:
    add_login(cli, "alive")
    add_login(cli, "expired lately", expired=ENDED_LATELY)
    add_login(cli, "revoked lately", revoked=ENDED_LATELY)
    add_login(cli, "expired", expired=ENDED_LONG_AGO)
    add_login(cli, "idle", idle=ENDED_LONG_AGO)
    add_login(cli, "revoked", revoked=ENDED_LONG_AGO)

    finished = cli.run("cleanup-tokens")

    assert finished.stdout == "deleted 3 ended sessions and expired links\n"
    assert logins(cli) == {"alive", "expired lately", "revoked lately"}


def test_cleanup_deletes_only_mailed_links_that_expired_long_ago(cli: Cli) -> None:
    """EM1."""
    add_login(cli, "alive")
    now = datetime.now(UTC).replace(tzinfo=None)
    for purpose, age in (("reset_password", ENDED_LONG_AGO), ("verify_email", ENDED_LATELY)):
        query(
            cli,
            "INSERT INTO mailed_links (user_id, purpose, digest, email, auth_version, expires_at) "
            "VALUES (1, ?, ?, 'u', 1, ?)",
            purpose,
            purpose,
            f"{now - age}",
        )

    assert cli.run("cleanup-tokens").stdout == "deleted 1 ended sessions and expired links\n"
    assert query(cli, "SELECT purpose FROM mailed_links") == [("verify_email",)]


def test_cleanup_takes_the_age_from_its_option(cli: Cli) -> None:
    add_login(cli, "alive")
    add_login(cli, "revoked lately", revoked=ENDED_LATELY)

    cli.run("cleanup-tokens", "--older-than-days=0")

    assert logins(cli) == {"alive"}


def test_cleanup_may_run_twice(cli: Cli) -> None:
    """RL16."""
    add_login(cli, "revoked", revoked=ENDED_LONG_AGO)
    cli.run("cleanup-tokens")

    finished = cli.run("cleanup-tokens")

    assert finished.returncode == 0
    assert finished.stdout == "deleted 0 ended sessions and expired links\n"


def test_cleanup_keeps_the_batches_it_finished_before_a_fault(cli: Cli) -> None:
    """RL16."""
    for number in range(25):
        add_login(cli, f"revoked {number}", revoked=ENDED_LONG_AGO)
    trigger = "CREATE TRIGGER stop BEFORE DELETE ON refresh_tokens WHEN old.id = 25 "
    query(cli, trigger + "BEGIN SELECT RAISE(ABORT, 'stop'); END")

    assert cli.run("cleanup-tokens", "--batch=10").returncode == 1
    assert len(logins(cli)) == 5

    query(cli, "DROP TRIGGER stop")
    assert (
        cli.run("cleanup-tokens", "--batch=10").stdout
        == "deleted 5 ended sessions and expired links\n"
    )


# --- cleanup-audit


def add_event(cli: Cli, name: str, age: timedelta) -> None:
    occurred = datetime.now(UTC).replace(tzinfo=None) - age
    query(
        cli,
        "INSERT INTO audit_events (public_id, occurred_at, action, outcome, operation, address) "
        "VALUES (?, ?, 'login', 'success', 'login', '127.0.0.1')",
        name,
        f"{occurred}",
    )


def events(cli: Cli) -> set[str]:
    """Return the events, except those about the command itself."""
    told = "SELECT public_id FROM audit_events WHERE action != 'cleanup_audit'"
    return {name for (name,) in query(cli, told)}


def test_the_audit_log_keeps_a_year_by_default(cli: Cli) -> None:
    add_event(cli, "a year ago", timedelta(days=366))
    add_event(cli, "within a year", timedelta(days=364))
    add_event(cli, "today", timedelta())

    finished = cli.run("cleanup-audit", "--batch=1")

    assert finished.stdout == "deleted 1 events of the audit log\n"
    assert events(cli) == {"within a year", "today"}
    cli.run("cleanup-audit", "--older-than-days=30")
    assert events(cli) == {"today"}


def test_cleaning_up_the_audit_log_is_audited(cli: Cli) -> None:
    """AU1: the event outlives the clean-up, even if the operator wanted to delete everything."""
    add_event(cli, "today", timedelta())

    for options in ((), ("--older-than-days=0", "--batch=1")):
        cli.run("cleanup-audit", *options)

    columns = "operation, action, outcome, actor_public_id, address"
    told = query(cli, f"SELECT {columns} FROM audit_events ORDER BY id")  # noqa: S608 - the names are the test's own
    ending = ("cleanup_audit", "success", None, "command line")
    assert told == [("cleanup-audit --older-than-days=0", *ending)]


def test_a_clean_up_that_deletes_nothing_is_not_audited(cli: Cli) -> None:
    """AU2."""
    add_event(cli, "a year ago", timedelta(days=366))
    trigger = "CREATE TRIGGER stop BEFORE DELETE ON audit_events "
    query(cli, trigger + "BEGIN SELECT RAISE(ABORT, 'stop'); END")

    assert cli.run("cleanup-audit").returncode == 1
    assert query(cli, "SELECT public_id FROM audit_events") == [("a year ago",)]


# --- purge-deleted


async def add_rows(database: Database) -> None:
    """Insert a soft-deleted account with items and a session, and items of a living account."""
    long_ago, lately = utcnow() - timedelta(days=31), utcnow() - timedelta(days=29)
    async with database.sessions.begin() as session:
        gone = User(email="a", email_key="a", password_hash="!", is_deleted=True)
        owner = User(email="b", email_key="b", password_hash="!")
        session.add_all([gone, owner])
        gone.deleted_at = long_ago
        await session.flush()
        session.add_all(
            Item(title=f"old {n}", owner_id=user.id, is_deleted=True, deleted_at=long_ago)
            for n in range(5)
            for user in (gone, owner)
        )
        session.add(Item(title="new", owner_id=owner.id, is_deleted=True, deleted_at=lately))
        session.add(Item(title="living", owner_id=owner.id))
        session.add(
            RefreshToken(
                user_id=gone.id, seed=b"", auth_version=1, expires_at=lately, idle_expires_at=lately
            )
        )


async def what_is_left(database: Database) -> dict[str, list[str]]:
    async with database.read_sessions() as session:
        return {
            "items": sorted(await session.scalars(select(Item.title))),
            "users": list(await session.scalars(select(User.email))),
            "logins": list(await session.scalars(select(RefreshToken.public_id))),
            "events": list(await session.scalars(select(AuditEvent.operation))),
        }


PURGE = "purge-deleted --older-than-days=30"
LEFT = {"items": ["living", "new"], "users": ["b"], "logins": [], "events": [PURGE]}


async def test_purge_removes_rows_deleted_long_ago_and_may_run_twice(
    both: Cli, database: Database
) -> None:
    """RL16: an account goes with all rows that belong to it. The audit log has one event."""
    await add_rows(database)

    first = both.run("purge-deleted", "--batch=3")
    second = both.run("purge-deleted", "--batch=3")

    assert first.stdout == "purged 10 rows of items\npurged 1 rows of users\n"
    assert second.stdout.endswith("nothing to purge\n")
    assert await what_is_left(database) == LEFT


async def test_purge_takes_the_age_from_the_settings_or_its_option(
    both: Cli, database: Database
) -> None:
    await add_rows(database)

    both.run("purge-deleted", DELETED_RETENTION_DAYS="40")
    assert len((await what_is_left(database))["items"]) == 12
    both.run("purge-deleted", "--older-than-days=28", DELETED_RETENTION_DAYS="40")

    assert (await what_is_left(database))["items"] == ["living"]
    assert both.run("purge-deleted", "--older-than-days=0").returncode == USAGE_ERROR


async def test_purge_keeps_the_batches_that_it_finished_before_a_fault(cli: Cli) -> None:
    """RL16."""
    database = Database(Settings.from_env_file(None, DATABASE_URL=cli.url))
    await add_rows(database)
    trigger = "CREATE TRIGGER stop BEFORE DELETE ON items WHEN old.title = 'old 4' "
    query(cli, trigger + "BEGIN SELECT RAISE(ABORT, 'stop'); END")

    assert cli.run("purge-deleted", "--batch=2").returncode == 1
    left = await what_is_left(database)
    assert (len(left["items"]), left["events"]) == (4, [PURGE])

    query(cli, "DROP TRIGGER stop")
    cli.run("purge-deleted", "--batch=2")
    assert (await what_is_left(database)) == LEFT | {"events": [PURGE] * 2}
    await database.close()


@on_postgresql
async def test_concurrent_purges_skip_rows_that_others_have_locked(database: Database) -> None:
    """RL16: they also skip a row that its owner is restoring."""
    await add_rows(database)
    before = utcnow() - timedelta(days=30)
    items = Base.metadata.tables["items"]
    async with database.sessions() as one, database.sessions() as other:
        first = await DeletedRowRepository(items, one).purge(before=before, after_id=0, batch=4)
        rest = await DeletedRowRepository(items, other).purge(before=before, after_id=0, batch=99)
        await one.commit()
        await other.commit()

    assert (len(first), len(rest)) == (4, 6)
    assert set(first) & set(rest) == set()


# --- cleanup-idempotency-keys


def add_key(cli: Cli, name: str, *, expires_in: timedelta) -> None:
    add_login(cli, name)  # also adds the user
    expires = datetime.now(UTC).replace(tzinfo=None) + expires_in
    query(
        cli,
        "INSERT INTO idempotency_keys (user_id, operation, key_digest, fingerprint, status, "
        "headers, body, expires_at) VALUES (1, ?, x'00', x'00', 201, '{}', '', ?)",
        name,
        f"{expires}",
    )


def test_only_expired_idempotency_keys_are_deleted_in_batches(cli: Cli) -> None:
    """RL16."""
    for number in range(5):
        add_key(cli, f"expired {number}", expires_in=timedelta(seconds=-1))
    add_key(cli, "fresh", expires_in=timedelta(minutes=1))

    finished = [cli.run("cleanup-idempotency-keys", "--batch=2") for _ in range(2)]

    assert [f.stdout for f in finished] == [
        "deleted 5 expired idempotency keys\n",
        "deleted 0 expired idempotency keys\n",
    ]
    assert query(cli, "SELECT operation FROM idempotency_keys") == [("fresh",)]
