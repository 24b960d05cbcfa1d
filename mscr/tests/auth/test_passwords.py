"""Passwords: accepted lengths and characters, hashes, and changes."""

import asyncio
import secrets

import pytest
from argon2 import PasswordHasher
from httpx2 import Response
from sqlalchemy import select

from examples.catalogue.core.config import Settings
from examples.catalogue.db.session import Database
from examples.catalogue.models.user import User
from examples.catalogue.repositories.user_repository import UserRepository
from examples.catalogue.tests.api import Api
from mscr.core.security.password import PasswordService
from mscr.testing.api import PASSWORD, Account
from mscr.testing.hashing import busy_hashing
from mscr.testing.problems import assert_unauthorized, faulty_fields, problem
from mscr.testing.table_rows import set_columns
from mscr.testing.waiting import until

REGISTER = "/api/v1/auth/register"
TOKEN = "/api/v1/auth/token"
CHANGE = "/api/v1/users/me/change-password"
NEW_PASSWORD = "quite another password"


# --- accepted passwords


async def test_registration_accepts_passwords_of_8_to_256_characters(
    api: Api, subtests: pytest.Subtests
) -> None:
    """PW1: the length counts characters; each of these has four bytes."""
    for length in (8, 64, 256):
        with subtests.test(str(length)):
            account = await api.register(password=horses(length))
            response = await api.try_login(account.email, account.password)
            assert response.status_code == 200


async def test_registration_refuses_shorter_and_longer_passwords(
    api: Api, subtests: pytest.Subtests
) -> None:
    """PW1."""
    for length in (1, 7, 257, 1024, 1_000_000):
        with subtests.test(str(length)):
            response = await register(api, "p" * length)
            assert faulty_fields(response) == [["body", "password"]]


@pytest.mark.settings(PASSWORD_MIN_LENGTH=12, PASSWORD_MAX_LENGTH=64)
async def test_the_length_limits_follow_the_settings(api: Api) -> None:
    """PW1."""
    responses = [await register(api, horses(length)) for length in (11, 12, 64, 65)]

    assert [response.status_code for response in responses] == [422, 201, 201, 422]


async def test_there_are_no_composition_rules(api: Api, subtests: pytest.Subtests) -> None:
    """PW2."""
    for password in ("zqxjkvbpwm", "ZQXJKVBPWM", "83017492650", "§§§%%%§§§%%%", "пароль без букв"):
        with subtests.test(password):
            await api.register(password=password)


async def test_a_password_is_used_unchanged(api: Api, subtests: pytest.Subtests) -> None:
    """PW2: no truncation, trimming or case folding."""
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


async def test_a_password_from_the_form_is_used_unchanged(api: Api) -> None:
    """PW2."""
    account = await api.register(password=" +%26 & = ü ")
    form = {"username": account.email, "password": account.password, "grant_type": "password"}

    assert (await api.client.post(TOKEN, data=form)).status_code == 200


COMPOSED, DECOMPOSED = "dreizehn blaue V\u00f6gel", "dreizehn blaue Vo\u0308gel"
FULL_WIDTH = "dreizehn\u3000\uff42laue V\u00f6gel"


async def test_a_password_matches_in_every_unicode_form(
    api: Api, subtests: pytest.Subtests
) -> None:
    """PW2: a phone and a laptop may send the same letters as different code points."""
    for password in (COMPOSED, DECOMPOSED, FULL_WIDTH):
        account = await api.register(password=password)
        for typed in (COMPOSED, DECOMPOSED, FULL_WIDTH):
            with subtests.test(f"{password!a} {typed!a}"):
                assert (await api.try_login(account.email, typed)).status_code == 200


async def test_a_hash_made_before_normalization_still_verifies_and_is_renewed(
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


async def test_the_current_password_in_another_unicode_form_counts_as_unchanged(api: Api) -> None:
    account = await api.register(password=COMPOSED)
    body = {"current_password": COMPOSED, "new_password": DECOMPOSED}

    response = await api.client.post(CHANGE, json=body, headers=account.headers)

    [fault] = problem(response, 422, "validation_failed")["errors"]
    assert fault["type"] == "password_unchanged"


# --- hashes


def test_argon2_defaults_follow_owasp(monkeypatch: pytest.MonkeyPatch) -> None:
    """PW5."""
    for name in ("MEMORY_KIB", "TIME_COST", "PARALLELISM"):
        monkeypatch.delenv(f"ARGON2_{name}", raising=False)
    settings = Settings.from_env_file(None)

    assert settings.ARGON2_MEMORY_KIB >= 19_456
    assert settings.ARGON2_TIME_COST >= 2


@pytest.mark.settings(ARGON2_MEMORY_KIB=19_456, ARGON2_TIME_COST=2)
async def test_the_hash_is_argon2id_with_the_configured_parameters(
    account: Account, database: Database
) -> None:
    """PW5."""
    assert (await hash_of(account, database)).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_equal_passwords_have_different_hashes(api: Api, database: Database) -> None:
    """PW5: each hash has its own salt."""
    one, other = await api.register(), await api.register()

    assert await hash_of(one, database) != await hash_of(other, database)


async def test_login_rehashes_a_hash_with_other_parameters(
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


async def test_login_keeps_a_hash_with_the_same_parameters(
    api: Api, account: Account, database: Database
) -> None:
    """PW5."""
    before = await hash_of(account, database)
    await api.login(account)

    assert await hash_of(account, database) == before


async def test_a_rehash_does_not_undo_a_concurrent_password_change(
    account: Account, database: Database
) -> None:
    """PW5: a race. The password was changed after the login had read the old hash."""
    before = await hash_of(account, database)
    async with database.sessions.begin() as session:
        users = UserRepository(session)
        user = await users.find_by_email(account.email)
        assert user is not None
        await users.replace_password_hash(user.id, old="what it was", new="what it is no more")

    assert await hash_of(account, database) == before


# --- changes


async def test_a_password_change_requires_the_current_password(api: Api, account: Account) -> None:
    """PW7: a wrong one changes nothing."""
    problem(await change(api, account, current="wrong password"), 403, "wrong_password")

    assert (await api.me(account.access_token)).status_code == 200
    assert (await api.try_login(account.email, PASSWORD)).status_code == 200


async def test_after_a_change_only_the_new_password_logs_in(api: Api, account: Account) -> None:
    """PW7."""
    await change(api, account)

    assert (await api.try_login(account.email, NEW_PASSWORD)).status_code == 200
    assert_unauthorized(await api.try_login(account.email, PASSWORD), "invalid_credentials")


async def test_a_password_change_keeps_the_caller_logged_in_and_ends_other_sessions(
    api: Api, account: Account
) -> None:
    """PW7."""
    other = await api.login(account)
    response = await change(api, account)

    tokens = response.json()["data"]
    assert (await api.me(tokens["access_token"])).status_code == 200
    assert (await api.refresh(tokens["refresh_token"])).status_code == 200
    assert_unauthorized(await api.me(other.access_token))
    assert_unauthorized(await api.refresh(other.refresh_token), "invalid_refresh_token")


async def test_concurrent_password_changes_succeed_once(api: Api, account: Account) -> None:
    """PW7: the second was confirmed with a password that is no longer current."""
    other = await api.login(account)
    new = [f"{NEW_PASSWORD} {n}" for n in range(2)]
    responses = await asyncio.gather(
        change(api, account, new=new[0]), change(api, other, new=new[1])
    )

    statuses = [response.status_code for response in responses]
    logins = [(await api.try_login(account.email, password)).status_code for password in new]
    assert sorted(statuses) in ([200, 401], [200, 403])
    assert logins == [200 if status == 200 else 401 for status in statuses]


@pytest.mark.settings(PASSWORD_HASH_THREADS=1, PASSWORD_HASH_QUEUE=2)
async def test_of_two_confirmed_password_changes_the_second_is_refused(
    api: Api, account: Account, passwords: PasswordService
) -> None:
    """PW7: one thread verifies both current passwords before it hashes either new one."""
    other = await api.login(account)

    async def both_wait() -> bool:
        return passwords._free == 0

    async with busy_hashing(passwords, jobs=1):
        first = asyncio.create_task(change(api, account, new=f"{NEW_PASSWORD} 0"))
        second = asyncio.create_task(change(api, other, new=f"{NEW_PASSWORD} 1"))
        await until(both_wait)
    responses = [await first, await second]

    assert sorted(response.status_code for response in responses) == [200, 401]


async def test_the_new_password_follows_the_rules_of_registration(
    api: Api, account: Account, subtests: pytest.Subtests
) -> None:
    """PW1."""
    for password in ("", "p" * 7, "p" * 257, "p" * 1_000_000, "nul\0 inside"):
        with subtests.test(f"{password:.10}"):
            response = await change(api, account, new=password)
            assert faulty_fields(response) == [["body", "new_password"]]


async def test_the_new_password_must_differ(api: Api, account: Account) -> None:
    response = await change(api, account, new=PASSWORD)

    assert faulty_fields(response) == [["body", "new_password"]]
    assert (await api.me(account.access_token)).status_code == 200


async def test_a_password_change_requires_a_token_and_both_passwords(
    api: Api, account: Account
) -> None:
    """PW7."""
    assert_unauthorized(await api.client.post(CHANGE, json={}))

    response = await api.client.post(CHANGE, json={}, headers=account.headers)
    assert faulty_fields(response) == [["body", "current_password"], ["body", "new_password"]]


async def register(api: Api, password: str) -> Response:
    """Register a new address each time."""
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
    """Store a hash of the right password with outdated parameters."""
    old = PasswordHasher(time_cost=2, memory_cost=16, parallelism=2).hash(account.password)
    await set_columns(database, User, account.public_id, password_hash=old)
    return old


def horses(length: int) -> str:
    return "".join(chr(0x1F400 + n) for n in range(length))
