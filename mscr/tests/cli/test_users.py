"""`create-user`, `set-password`, `set-role` and `list-users`."""

import os
import re
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest
from httpx2 import AsyncClient

from examples.catalogue.tests.api import Api
from mscr.cli.command_line import USAGE_ERROR
from mscr.testing.api import PASSWORD
from mscr.testing.databases import on_sqlite
from mscr.tests.support.command_line import Cli, Finished, assert_refused, query
from mscr.tests.support.paths import REPOSITORY

OTHER_PASSWORD = "another good passphrase"


@pytest.fixture
def cli(tmp_path: Path, sqlite_template: Path) -> Cli:
    return Cli.migrated(tmp_path, sqlite_template)


@pytest.fixture
def both(tmp_path: Path, database_url: str) -> Cli:
    """Return a command line for each database, SQLite and PostgreSQL."""
    return Cli(tmp_path, database_url)


def create(cli: Cli, email: str, *options: str, password: str | bytes = PASSWORD) -> Finished:
    return cli.run("create-user", f"--email={email}", "--password-stdin", *options, given=password)


def insert(cli: Cli, email: str, *, full_name: str | None = None) -> str:
    """Insert an account directly, which is faster than a process, and return its public id."""
    public_id = str(uuid4())
    columns = "(public_id, email, email_key, full_name, password_hash)"
    statement = f"INSERT INTO users {columns} VALUES (?, ?, ?, ?, 'a hash')"  # noqa: S608 - no value comes from outside
    query(cli, statement, public_id, email, email, full_name)
    return public_id


# --- create-user


def test_input_that_is_not_utf_8_is_one_line(cli: Cli) -> None:
    # A fresh process: a warm one has already opened its input.
    finished = subprocess.run(  # noqa: S603 - the project's own command
        cli.command("create-user"),
        env=cli.environment(PYTHONIOENCODING="utf-8:strict"),
        input=b"\xff\n",
        capture_output=True,
        check=False,
    )

    assert finished.returncode == 1
    assert finished.stderr == b"Error: the input is not UTF-8 text\n"


async def test_a_created_user_can_log_in(both: Cli, client: AsyncClient) -> None:
    fields = ("--full-name=Ada Lovelace", "--affiliation=The library")
    finished = create(both, "Ada@Example.com", *fields)

    assert finished.returncode == 0
    body = {"email": "ada@example.com", "password": PASSWORD}
    response = await client.post("/api/v1/auth/login", json=body)
    assert response.status_code == 200
    (user,) = both.json("list-users")["users"]
    assert user["email"] == "Ada@Example.com"
    assert (user["full_name"], user["affiliation"]) == ("Ada Lovelace", "The library")
    assert user["role"] == "user"
    assert user["public_id"] in finished.stdout


def test_an_administrator_is_created_only_with_the_admin_option(cli: Cli) -> None:
    create(cli, "chief@example.com", "--admin")
    create(cli, "clerk@example.com")

    roles = {user["email"]: user["role"] for user in cli.json("list-users")["users"]}
    assert roles == {"chief@example.com": "admin", "clerk@example.com": "user"}


def test_actions_of_operators_are_audited(cli: Cli) -> None:
    """AU1."""
    create(cli, "ada@example.com")
    cli.run("set-password", "ada@example.com", "--password-stdin", given=OTHER_PASSWORD)

    [(public_id,)] = query(cli, "SELECT public_id FROM users")
    told = query(
        cli,
        "SELECT action, outcome, operation, actor_public_id, account_public_id, address "
        "FROM audit_events ORDER BY id",
    )
    assert told == [
        ("create_user", "success", "create-user", None, public_id, "command line"),
        ("set_password", "success", "set-password", None, public_id, "command line"),
    ]


@on_sqlite
async def test_a_password_is_neither_trimmed_nor_changed(both: Cli, client: AsyncClient) -> None:
    password = "  pässword, with spaces  "
    create(both, "ada@example.com", password=f"{password}\r\nand a second line")

    body = {"email": "ada@example.com", "password": password}
    assert (await client.post("/api/v1/auth/login", json=body)).status_code == 200


def test_a_taken_address_is_refused(cli: Cli) -> None:
    create(cli, "ada@example.com")

    assert_refused(create(cli, "ADA@example.com"), "already exists")
    assert query(cli, "SELECT count(*) FROM users") == [(1,)]


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("seven77", "at least 8 characters"),
        ("with a NUL \0 inside", "NUL"),
        (b"not \xff\xfe UTF-8", "password"),
    ],
    ids=["short", "nul", "bytes"],
)
def test_a_password_that_the_api_would_refuse_is_refused(
    cli: Cli, password: str | bytes, words: str
) -> None:
    assert_refused(create(cli, "ada@example.com", password=password), words)
    assert query(cli, "SELECT count(*) FROM users") == [(0,)]


def test_an_invalid_email_address_is_refused(cli: Cli) -> None:
    assert_refused(create(cli, "ada"), "email: ")


def test_a_password_from_the_input_requires_the_email_option(cli: Cli) -> None:
    finished = cli.run("create-user", "--password-stdin", given=PASSWORD)

    assert finished.returncode == 2
    assert "--email" in finished.stderr


def test_a_password_cannot_be_an_option_because_the_process_list_shows_it(cli: Cli) -> None:
    finished = cli.run("create-user", "--email=ada@example.com", f"--password={PASSWORD}")

    assert finished.returncode == 2
    assert "No such option" in finished.stderr


def test_a_prompt_without_a_terminal_ends_in_one_line(cli: Cli) -> None:
    finished = cli.run("create-user")

    assert finished.returncode == 1
    assert finished.stderr.strip() == "Error: aborted"


def on_terminal(cli: Cli, *arguments: str, answers: dict[str, str]) -> tuple[int, str]:
    """Run a command on a pseudo-terminal, and type each answer after its prompt."""
    pty = pytest.importorskip("pty", reason="Windows has no pseudo-terminals")
    ours, theirs = pty.openpty()
    with subprocess.Popen(  # noqa: S603 - the project's own command
        cli.command(*arguments),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=REPOSITORY,
        env=cli.environment(),
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown, waiting = "", list(answers.items())
        while chunk := _read(ours):
            shown += chunk
            if waiting and re.search(waiting[0][0] + r".*: $", shown):
                os.write(ours, f"{waiting.pop(0)[1]}\n".encode())
    os.close(ours)
    return process.returncode, shown


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 1024).decode()
    except OSError:  # Linux reports the closed other side so
        return ""


def test_on_a_terminal_it_prompts_and_hides_the_password(cli: Cli) -> None:
    answers = {
        "Email": "ada@example.com",
        "Full name": "Ada",
        "Affiliation": "",
        "Password": PASSWORD,
        "Repeat": PASSWORD,
    }

    status, shown = on_terminal(cli, "create-user", answers=answers)

    assert status == 0, shown
    assert "created the user ada@example.com" in shown
    assert PASSWORD not in shown
    assert query(cli, "SELECT email, full_name FROM users") == [("ada@example.com", "Ada")]


def test_on_a_terminal_a_mistyped_repetition_is_prompted_again(cli: Cli) -> None:
    answers = {
        "Full name": "",
        "Affiliation": "",
        "Password": PASSWORD,
        "Repeat": OTHER_PASSWORD,
        "do not match.*Password": PASSWORD,
        "do not match.*Repeat": PASSWORD,
    }
    # `.` in the last two patterns also matches line ends.
    answers = {f"(?s){question}": answer for question, answer in answers.items()}

    status, shown = on_terminal(cli, "create-user", "--email=ada@example.com", answers=answers)

    assert status == 0, shown
    assert query(cli, "SELECT email, full_name FROM users") == [("ada@example.com", None)]


# --- set-password


async def test_a_new_password_revokes_all_sessions_and_works(both: Cli, api: Api) -> None:
    account = await api.register("ada@example.com")

    finished = both.run("set-password", "ADA@example.com", "--password-stdin", given=OTHER_PASSWORD)

    assert finished.returncode == 0
    assert (await api.me(account.access_token)).status_code == 401
    assert (await api.refresh(account.refresh_token)).status_code == 401
    assert (await api.try_login("ada@example.com", PASSWORD)).status_code == 401
    assert (await api.try_login("ada@example.com", OTHER_PASSWORD)).status_code == 200


def test_setting_the_password_of_an_unknown_address_is_refused(cli: Cli) -> None:
    finished = cli.run("set-password", "a@example.com", "--password-stdin", given=OTHER_PASSWORD)

    assert_refused(finished, "no account has this address", "list-users")


def test_a_new_password_obeys_the_policy(cli: Cli) -> None:
    insert(cli, "ada@example.com")
    before = query(cli, "SELECT password_hash, auth_version FROM users")

    finished = cli.run("set-password", "ada@example.com", "--password-stdin", given="short")

    assert_refused(finished, "at least 8 characters")
    assert query(cli, "SELECT password_hash, auth_version FROM users") == before


def test_setting_the_password_of_a_deactivated_account_warns(cli: Cli) -> None:
    insert(cli, "ada@example.com")
    query(cli, "UPDATE users SET is_active = 0")

    finished = cli.run("set-password", "ada@example.com", "--password-stdin", given=OTHER_PASSWORD)

    assert finished.returncode == 0
    assert "deactivated" in finished.stderr


# --- set-role


async def test_a_new_role_takes_effect_on_the_next_request(both: Cli, api: Api) -> None:
    """JW5."""
    await api.register_admin()
    account = await api.register("ada@example.com")
    statuses = []
    for role in ("user", "admin", "admin", "user"):
        assert both.run("set-role", "ADA@example.com", role).returncode == 0
        answer = await api.client.get("/api/v1/users", headers=account.headers)
        statuses.append(answer.status_code)

    assert statuses == [403, 200, 200, 403]
    # A change to the same role is not audited.
    admin = await api.register_admin()
    log = await api.client.get("/api/v1/audit-events?action=change_role", headers=admin.headers)
    assert [e["account_public_id"] for e in log.json()["data"]] == [account.public_id] * 2


def test_the_last_administrator_keeps_the_role(cli: Cli) -> None:
    """AZ6."""
    create(cli, "chief@example.com", "--admin")

    assert_refused(cli.run("set-role", "chief@example.com", "user"), "the last administrator")
    assert_refused(cli.run("set-role", "a@example.com", "admin"), "no account has this address")
    unknown = cli.run("set-role", "chief@example.com", "god")
    assert unknown.returncode == USAGE_ERROR
    assert "'god' is not one of user, admin" in unknown.stderr
    assert query(cli, "SELECT role FROM users") == [("admin",)]


# --- list-users


def test_a_list_shows_public_ids_and_no_integer_ids_and_no_hashes(cli: Cli) -> None:
    public_id = insert(cli, "ada@example.com")
    query(cli, "UPDATE users SET id = 424242")

    outputs = [cli.run("list-users").stdout, cli.run("list-users", "--json").stdout]

    for output in outputs:
        assert public_id in output
        assert "ada@example.com" in output
        assert "424242" not in output
        assert "a hash" not in output


def test_a_list_is_paged_and_prints_the_total(cli: Cli) -> None:
    for name in ("ada", "bob", "cyd"):
        insert(cli, f"{name}@example.com")

    first = cli.run("list-users", "--limit=2")
    rest = cli.json("list-users", "--limit=2", "--offset=2")

    assert "ada@example.com" in first.stdout
    assert "cyd@example.com" not in first.stdout
    assert "2 of 3" in first.stderr
    assert [user["email"] for user in rest["users"]] == ["cyd@example.com"]
    assert rest["total"] == 3


def test_a_list_omits_deleted_accounts(cli: Cli) -> None:
    insert(cli, "ada@example.com")
    query(cli, "UPDATE users SET is_deleted = 1")

    assert cli.json("list-users") == {"users": [], "total": 0}


def test_control_characters_in_a_name_are_escaped(cli: Cli) -> None:
    insert(cli, "ada@example.com", full_name="\x1b[2J[bold]Ada")

    shown = cli.run("list-users").stdout

    assert "\x1b" not in shown
    assert r"\x1b[2J[bold]Ada" in shown
