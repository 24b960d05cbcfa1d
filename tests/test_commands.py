"""Your commands of `cli.py`: accounts and demo data."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.core.config import Settings
from app.db.session import Database
from app.models import UserRole
from app.project import project
from app.schemas.auth_schemas import UserRegister
from mscr.testing.api import PASSWORD
from mscr.testing.problems import assert_unauthorized
from mscr.testing.table_rows import all_rows
from tests.api import Api

NEW_PASSWORD = "quite another password"


class Finished(NamedTuple):
    status: int
    output: str
    errors: str


Run = Callable[..., Awaitable[Finished]]


@pytest.fixture
def run(settings: Settings) -> Run:
    """Run commands on the test's database."""
    tested = replace(project, get_settings=lambda: settings)

    def invoke(arguments: tuple[str, ...], typed: str) -> Finished:
        result = CliRunner().invoke(app, arguments, input=typed, obj=tested)
        return Finished(result.exit_code, result.stdout, result.stderr)

    async def run(*arguments: str, typed: str = "") -> Finished:
        # In a thread, because a command has an event loop of its own.
        return await asyncio.to_thread(invoke, arguments, typed)

    return run


def required_options(email: str) -> list[str]:
    """Return the options of `create-user` for the fields that a registration requires."""
    _, body = Api.registration(email, PASSWORD)
    return [
        f"--{name.replace('_', '-')}={as_typed(value)}"
        for name, value in body.items()
        if name != "password"
    ]


def as_typed(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


async def create_user(run: Run, email: str, *options: str, password: str = PASSWORD) -> Finished:
    options = (*required_options(email), "--password-stdin", *options)
    return await run("create-user", *options, typed=f"{password}\n")


async def users_in(run: Run) -> list[dict[str, Any]]:
    listed = json.loads((await run("list-users", "--json")).output)
    users: list[dict[str, Any]] = listed["users"]
    return users


# --- create-user


async def test_a_created_user_has_every_field_and_can_log_in(api: Api, run: Run) -> None:
    finished = await create_user(run, "ada@example.com", "--full-name=Ada Lovelace")

    [user] = await users_in(run)
    fields = (user["email"], user["full_name"], user["role"], user["is_active"])
    assert fields == ("ada@example.com", "Ada Lovelace", "user", True)
    assert finished.output == f"created the user ada@example.com, public id {user['public_id']}\n"
    assert (await api.try_login("ada@example.com", PASSWORD)).status_code == 200


async def test_only_the_option_creates_an_administrator(run: Run) -> None:
    await create_user(run, "chief@example.com", "--admin")
    await create_user(run, "clerk@example.com")

    roles = {user["email"]: user["role"] for user in await users_in(run)}
    assert roles == {"chief@example.com": "admin", "clerk@example.com": "user"}


async def test_missing_values_are_prompted_for(run: Run) -> None:
    _, body = Api.registration("ada@example.com", PASSWORD)
    given = {**body, "full_name": "Ada Lovelace"}
    names = [name for name in UserRegister.model_fields if name != "password"]
    answers = [*(as_typed(given.get(name, "")) for name in names), PASSWORD, PASSWORD]

    finished = await run("create-user", typed="".join(f"{answer}\n" for answer in answers))

    assert finished.status == 0, finished
    assert PASSWORD not in finished.output
    assert [user["full_name"] for user in await users_in(run)] == ["Ada Lovelace"]


async def test_a_password_from_the_input_requires_the_address(run: Run) -> None:
    finished = await run("create-user", "--password-stdin", typed=PASSWORD)

    assert finished.status == 2
    assert "--email" in finished.errors


@pytest.mark.parametrize(
    ("email", "password", "words"),
    [
        ("ada", PASSWORD, "email: "),
        ("ada@example.com", "short", "at least 8 characters"),
        ("ada@example.com", "password1", "password"),
        ("ada.lovelace@example.com", "ada.lovelace!", "password"),
    ],
)
async def test_what_the_api_would_refuse_is_refused(
    run: Run, email: str, password: str, words: str
) -> None:
    finished = await create_user(run, email, password=password)

    assert finished.status == 1
    assert words in finished.errors
    assert await users_in(run) == []


async def test_a_taken_address_is_refused(run: Run) -> None:
    await create_user(run, "ada@example.com")

    assert "already exists" in (await create_user(run, "ADA@example.com")).errors


# --- set-password and set-role


async def test_a_new_password_ends_all_sessions(api: Api, run: Run) -> None:
    user = await api.register()

    await run("set-password", user.email, "--password-stdin", typed=NEW_PASSWORD)

    assert_unauthorized(await api.me(user.access_token))
    assert_unauthorized(await api.try_login(user.email, PASSWORD), "invalid_credentials")
    assert (await api.try_login(user.email, NEW_PASSWORD)).status_code == 200


async def test_a_new_password_for_a_deactivated_account_warns(api: Api, run: Run) -> None:
    admin, user = await api.register_admin(), await api.register()
    path = f"/api/v1/users/{user.public_id}/deactivate"
    await api.client.post(path, headers=admin.headers)

    finished = await run("set-password", user.email, "--password-stdin", typed=NEW_PASSWORD)

    assert finished.status == 0
    assert "deactivated" in finished.errors


async def test_a_new_role_takes_effect_on_the_next_request(api: Api, run: Run) -> None:
    await api.register_admin()
    user = await api.register()

    for role, status in (("user", 403), ("admin", 200), ("user", 403)):
        assert (await run("set-role", user.email, role)).status == 0
        response = await api.client.get("/api/v1/users", headers=user.headers)
        assert response.status_code == status


@pytest.mark.parametrize("role", UserRole)
async def test_every_role_can_be_given(api: Api, run: Run, role: UserRole) -> None:
    user = await api.register()

    finished = await run("set-role", user.email, role.value)

    assert finished.output == f"{user.email} has the role {role.value}\n"


async def test_an_unknown_role_is_refused_with_the_known_ones(run: Run) -> None:
    finished = await run("set-role", "ada@example.com", "god")

    known = ", ".join(role.value for role in UserRole)
    assert f"'god' is not one of {known}" in finished.errors


async def test_the_last_administrator_keeps_the_role(run: Run) -> None:
    await create_user(run, "chief@example.com", "--admin")

    finished = await run("set-role", "chief@example.com", "user")

    assert "the last administrator" in finished.errors
    assert [user["role"] for user in await users_in(run)] == ["admin"]


@pytest.mark.parametrize(
    "command",
    [("set-password", "a@example.com", "--password-stdin"), ("set-role", "a@b.c", "user")],
)
async def test_an_unknown_address_is_refused(run: Run, command: tuple[str, ...]) -> None:
    finished = await run(*command, typed=NEW_PASSWORD)

    assert (finished.status, finished.output) == (1, "")
    assert "no account has this address" in finished.errors


# --- list-users


async def test_a_list_shows_accounts_oldest_first_and_how_many_there_are(
    api: Api, run: Run
) -> None:
    for name in ("ada", "bob", "cyd"):
        await api.register(f"{name}@example.com")

    finished = await run("list-users", "--limit=1", "--offset=1")

    assert re.findall(r"\w+@example\.com", finished.output) == ["bob@example.com"]
    assert "1 of 3" in finished.errors


# --- seed


def accounts_in(output: str) -> dict[str, str]:
    """Return the addresses and passwords that a command shows."""
    return dict(re.findall(r"^ +(\S+@\S+) +(\S+) ", output, re.MULTILINE))


async def test_demo_data_has_two_accounts_that_can_log_in(api: Api, run: Run) -> None:
    accounts = accounts_in((await run("seed")).output)

    roles = {user["email"]: user["role"] for user in await users_in(run)}
    logins = [await api.try_login(email, password) for email, password in accounts.items()]
    assert roles == {"admin@example.com": "admin", "user@example.com": "user"}
    assert [login.status_code for login in logins] == [200, 200]


async def test_demo_data_is_added_once(run: Run, database: Database) -> None:
    await run("seed")
    before = await all_rows(database)

    finished = await run("seed")

    assert (finished.status, accounts_in(finished.output)) == (0, {})
    assert "nothing was changed" in finished.output
    assert await all_rows(database) == before


@pytest.mark.settings(
    ENVIRONMENT="production",
    RATE_LIMIT_ENABLED=True,
    ARGON2_MEMORY_KIB=19_456,
    ARGON2_TIME_COST=2,
)
async def test_production_gets_no_demo_data_without_consent(run: Run) -> None:
    finished = await run("seed")

    assert finished.status == 1
    assert "--yes" in finished.errors
    assert await users_in(run) == []
