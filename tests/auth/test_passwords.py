"""Which passwords are taken, how they are kept, and how they are changed."""

import asyncio
import secrets

import pytest
from argon2 import PasswordHasher
from httpx2 import Response
from sqlalchemy import select

from app.core.config import Settings
from app.db.session import Database
from app.models import User
from app.repositories.user_repository import UserRepository
from tests.support.api import PASSWORD, Account, Api
from tests.support.problems import assert_unauthorized, faulty_fields, problem
from tests.support.table_rows import set_columns

REGISTER = "/api/v1/auth/register"
TOKEN = "/api/v1/auth/token"
CHANGE = "/api/v1/users/me/change-password"
NEW_PASSWORD = "quite another password"


# --- which are taken


async def test_registering_takes_a_password_of_8_to_256_characters(
    api: Api, subtests: pytest.Subtests
) -> None:
    """PW1: characters, each of which has four bytes here."""
    for length in (8, 64, 256):
        with subtests.test(str(length)):
            account = await api.register(password=horses(length))
            response = await api.try_login(account.email, account.password)
            assert response.status_code == 200


async def test_registering_refuses_a_shorter_or_longer_password(
    api: Api, subtests: pytest.Subtests
) -> None:
    """PW1."""
    for length in (1, 7, 257, 1024, 1_000_000):
        with subtests.test(str(length)):
            response = await register(api, "p" * length)
            assert faulty_fields(response) == [["body", "password"]]


@pytest.mark.settings(PASSWORD_MIN_LENGTH=12, PASSWORD_MAX_LENGTH=64)
async def test_the_lengths_are_those_of_the_settings(api: Api) -> None:
    """PW1."""
    responses = [await register(api, horses(length)) for length in (11, 12, 64, 65)]

    assert [response.status_code for response in responses] == [422, 201, 201, 422]


async def test_no_rule_says_which_characters_a_password_has(
    api: Api, subtests: pytest.Subtests
) -> None:
    """PW2."""
    for password in ("zqxjkvbpwm", "ZQXJKVBPWM", "83017492650", "§§§%%%§§§%%%", "пароль без букв"):
        with subtests.test(password):
            await api.register(password=password)


async def test_a_password_is_taken_as_it_is(api: Api, subtests: pytest.Subtests) -> None:
    """PW2: nothing is cut off, trimmed or folded."""
    password = f"  {'Correct Horse Battery Staple ' * 5} "
    account = await api.register(password=password)
    assert (await api.try_login(account.email, password)).status_code == 200

    for changed in (
        *(password[:72], password[:-1], password[1:], password.strip(), f"{password} "),
        *(password.lower(), password.upper(), password.swapcase(), password.replace(" ", "")),
    ):
        with subtests.test(changed):
            response = await api.try_login(account.email, changed)
            assert_unauthorized(response, "invalid_credentials")


async def test_a_password_is_taken_as_it_is_from_the_form_too(api: Api) -> None:
    """PW2."""
    account = await api.register(password=" +%26 & = ü ")
    form = {"username": account.email, "password": account.password, "grant_type": "password"}

    assert (await api.client.post(TOKEN, data=form)).status_code == 200


COMPOSED, DECOMPOSED = "dreizehn blaue V\u00f6gel", "dreizehn blaue Vo\u0308gel"
FULL_WIDTH = "dreizehn\u3000\uff42laue V\u00f6gel"


async def test_a_password_is_the_same_in_every_unicode_form(
    api: Api, subtests: pytest.Subtests
) -> None:
    """PW2: a phone and a laptop may send the same letters in different code points."""
    for password in (COMPOSED, DECOMPOSED, FULL_WIDTH):
        account = await api.register(password=password)
        for typed in (COMPOSED, DECOMPOSED, FULL_WIDTH):
            with subtests.test(f"{password!a} {typed!a}"):
                assert (await api.try_login(account.email, typed)).status_code == 200


async def test_a_hash_from_before_normalization_keeps_working_and_is_renewed(
    api: Api, account: Account, database: Database
) -> None:
    typed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(DECOMPOSED)
    await set_columns(database, User, account.public_id, password_hash=typed)
    assert_unauthorized(await api.try_login(account.email, COMPOSED), "invalid_credentials")

    assert (await api.try_login(account.email, DECOMPOSED)).status_code == 200
    renewed = await hash_of(account, database)
    assert (await api.try_login(account.email, COMPOSED)).status_code == 200

    assert renewed != typed
    assert (await api.try_login(account.email, DECOMPOSED)).status_code == 200
    assert await hash_of(account, database) == renewed


async def test_the_current_password_in_another_unicode_form_is_no_new_one(api: Api) -> None:
    account = await api.register(password=COMPOSED)
    body = {"current_password": COMPOSED, "new_password": DECOMPOSED}

    response = await api.client.post(CHANGE, json=body, headers=account.headers)

    [fault] = problem(response, 422, "validation_failed")["errors"]
    assert fault["type"] == "password_unchanged"


# --- how they are kept


def test_argon2_has_the_parameters_of_owasp_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """PW5."""
    for name in ("MEMORY_KIB", "TIME_COST", "PARALLELISM"):
        monkeypatch.delenv(f"ARGON2_{name}", raising=False)
    settings = Settings(_env_file=None)

    assert settings.ARGON2_MEMORY_KIB >= 19_456
    assert settings.ARGON2_TIME_COST >= 2


@pytest.mark.settings(ARGON2_MEMORY_KIB=19_456, ARGON2_TIME_COST=2)
async def test_the_hash_is_argon2id_with_the_parameters_of_the_settings(
    account: Account, database: Database
) -> None:
    """PW5."""
    assert (await hash_of(account, database)).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_equal_passwords_have_different_hashes(api: Api, database: Database) -> None:
    """PW5: each has a salt."""
    one, other = await api.register(), await api.register()

    assert await hash_of(one, database) != await hash_of(other, database)


async def test_logging_in_renews_a_hash_of_other_parameters(
    api: Api, account: Account, database: Database
) -> None:
    """PW5."""
    await store_old_hash(account, database)
    await api.login(account)

    assert (await hash_of(account, database)).startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert (await api.try_login(account.email, account.password)).status_code == 200


async def test_a_wrong_password_renews_no_hash(
    api: Api, account: Account, database: Database
) -> None:
    """PW5."""
    old = await store_old_hash(account, database)
    await api.try_login(account.email, "wrong password")

    assert await hash_of(account, database) == old


async def test_logging_in_keeps_a_hash_of_the_same_parameters(
    api: Api, account: Account, database: Database
) -> None:
    """PW5."""
    before = await hash_of(account, database)
    await api.login(account)

    assert await hash_of(account, database) == before


async def test_a_renewed_hash_does_not_undo_a_change_in_between(
    account: Account, database: Database
) -> None:
    """PW5: the password was changed after the login had read the old hash."""
    before = await hash_of(account, database)
    async with database.sessions.begin() as session:
        users = UserRepository(session)
        user = await users.find_by_email(account.email)
        assert user is not None
        await users.replace_password_hash(user.id, old="what it was", new="what it is no more")

    assert await hash_of(account, database) == before


# --- how they are changed


async def test_changing_it_needs_the_current_one(api: Api, account: Account) -> None:
    """PW7: and changes nothing without."""
    problem(await change(api, account, current="wrong password"), 403, "wrong_password")

    assert (await api.me(account.access_token)).status_code == 200
    assert (await api.try_login(account.email, PASSWORD)).status_code == 200


async def test_the_new_one_logs_in_and_the_old_one_does_not(api: Api, account: Account) -> None:
    """PW7."""
    await change(api, account)

    assert (await api.try_login(account.email, NEW_PASSWORD)).status_code == 200
    assert_unauthorized(await api.try_login(account.email, PASSWORD), "invalid_credentials")


async def test_the_caller_goes_on_and_the_other_device_does_not(api: Api, account: Account) -> None:
    """PW7."""
    other = await api.login(account)
    response = await change(api, account)

    tokens = response.json()["data"]
    assert (await api.me(tokens["access_token"])).status_code == 200
    assert (await api.refresh(tokens["refresh_token"])).status_code == 200
    assert_unauthorized(await api.me(other.access_token))
    assert_unauthorized(await api.refresh(other.refresh_token), "invalid_refresh_token")


async def test_of_two_changes_at_once_one_is_refused(api: Api, account: Account) -> None:
    """PW7: the second was proved with a password that is no more."""
    other = await api.login(account)
    new = [f"{NEW_PASSWORD} {n}" for n in range(2)]
    responses = await asyncio.gather(
        change(api, account, new=new[0]), change(api, other, new=new[1])
    )

    statuses = [response.status_code for response in responses]
    logins = [(await api.try_login(account.email, password)).status_code for password in new]
    assert sorted(statuses) in ([200, 401], [200, 403])
    assert logins == [200 if status == 200 else 401 for status in statuses]


async def test_the_new_one_must_be_one_that_registering_takes(
    api: Api, account: Account, subtests: pytest.Subtests
) -> None:
    """PW1."""
    for password in ("", "p" * 7, "p" * 257, "p" * 1_000_000, "nul\0 inside"):
        with subtests.test(f"{password:.10}"):
            response = await change(api, account, new=password)
            assert faulty_fields(response) == [["body", "new_password"]]


async def test_the_new_one_must_be_another(api: Api, account: Account) -> None:
    response = await change(api, account, new=PASSWORD)

    assert faulty_fields(response) == [["body", "new_password"]]
    assert (await api.me(account.access_token)).status_code == 200


async def test_changing_it_needs_a_token_and_both_passwords(api: Api, account: Account) -> None:
    """PW7."""
    assert_unauthorized(await api.client.post(CHANGE, json={}))

    response = await api.client.post(CHANGE, json={}, headers=account.headers)
    assert faulty_fields(response) == [["body", "current_password"], ["body", "new_password"]]


async def register(api: Api, password: str) -> Response:
    """Somebody else each time."""
    body = {"email": f"{secrets.token_hex(6)}@example.com", "password": password}
    return await api.client.post(REGISTER, json=body)


async def change(
    api: Api, account: Account, *, current: str = PASSWORD, new: str = NEW_PASSWORD
) -> Response:
    body = {"current_password": current, "new_password": new}
    return await api.client.post(CHANGE, json=body, headers=account.headers)


async def hash_of(account: Account, database: Database) -> str:
    async with database.sessions() as session:
        statement = select(User.password_hash).where(User.public_id == account.public_id)
        return (await session.scalars(statement)).one()


async def store_old_hash(account: Account, database: Database) -> str:
    """The right password, hashed with what the settings said years ago."""
    old = PasswordHasher(time_cost=2, memory_cost=16, parallelism=2).hash(account.password)
    await set_columns(database, User, account.public_id, password_hash=old)
    return old


def horses(length: int) -> str:
    return "".join(chr(0x1F400 + n) for n in range(length))
