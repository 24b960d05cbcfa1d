"""Rate limits of login attempts: counters in memory, and in a store that processes share."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from pydantic import SecretStr

from examples.catalogue.core.config import Settings
from examples.catalogue.db.session import Database
from examples.catalogue.models.tables import TABLES
from examples.catalogue.repositories.user_repository import UserRepository
from examples.catalogue.tests.api import Api
from mscr.core.client import Client, Origin
from mscr.core.exceptions import UnauthorizedError
from mscr.core.security.password import PasswordService
from mscr.repositories.audit_event_repository import AuditEventRepository
from mscr.services.audit_event_service import AuditTrail
from mscr.services.credential_service import CredentialService
from mscr.testing.api import PASSWORD, Account
from mscr.testing.applications import client_from, new_address
from mscr.testing.databases import on_sqlite
from mscr.testing.hashing import busy_hashing
from mscr.testing.problems import problem

# The counters are not in the database.
pytestmark = [on_sqlite, pytest.mark.settings(RATE_LIMIT_ENABLED=True)]

LOGIN = "/api/v1/auth/login"
REGISTER = "/api/v1/auth/register"
ME = "/api/v1/users/me"

FIVE_REFUSALS_THEN_LIMITED = [401, 401, 401, 401, 401, 429]


@pytest.fixture(params=["memory", "valkey"])
def counter_url(request: pytest.FixtureRequest) -> SecretStr | None:
    if request.param == "memory":
        return None
    return SecretStr(request.getfixturevalue("valkey").url)


@pytest.fixture
def settings(settings: Settings, counter_url: SecretStr | None) -> Settings:
    return settings.model_copy(update={"REDIS_URL": counter_url})


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Send from a new address in each test, because counters in the store outlive the test."""
    async with client_from(new_address(), app) as client:
        yield client


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Send from another address than the account's owner."""
    async with client_from(new_address(), app) as client:
        yield client


async def test_the_sixth_wrong_password_is_429(account: Account, stranger: AsyncClient) -> None:
    """LG4."""
    responses = await guess(stranger, account.email, times=6)

    assert [r.status_code for r in responses] == FIVE_REFUSALS_THEN_LIMITED
    problem(responses[-1], 429, "too_many_requests")


async def test_a_429_has_retry_after_and_the_policy(
    account: Account, stranger: AsyncClient
) -> None:
    """LG4."""
    *_, last = await guess(stranger, account.email, times=6)

    seconds = int(last.headers["retry-after"])
    assert 1 <= seconds <= 15 * 60
    assert last.headers["ratelimit-policy"] == '"account";q=5;w=900'
    assert last.headers["ratelimit"] == f'"account";r=0;t={seconds}'


async def test_the_right_password_is_429_once_limited(
    account: Account, stranger: AsyncClient
) -> None:
    """LG4: otherwise guessing could go on until it succeeds."""
    await guess(stranger, account.email, times=5)

    problem(await try_login(stranger, account.email, PASSWORD), 429, "too_many_requests")


async def test_no_password_is_hashed_once_limited(
    account: Account, stranger: AsyncClient, passwords: PasswordService, settings: Settings
) -> None:
    """LG8: the response is 429 although the hashing pool is full."""
    await guess(stranger, account.email, times=5)
    places = settings.PASSWORD_HASH_THREADS + settings.PASSWORD_HASH_QUEUE

    async with busy_hashing(passwords, jobs=places):
        problem(await try_login(stranger, account.email, PASSWORD), 429, "too_many_requests")


async def test_an_unknown_account_is_limited_in_the_same_way(stranger: AsyncClient) -> None:
    """LG4: otherwise the limit would allow account enumeration."""
    responses = await guess(stranger, "nobody@example.com", times=6)

    assert [r.status_code for r in responses] == FIVE_REFUSALS_THEN_LIMITED


async def test_all_spellings_of_an_address_count_as_one(api: Api, stranger: AsyncClient) -> None:
    """LG4."""
    await api.register("ada@example.com")
    spellings = ("ada@example.com", "ADA@example.com", " ada@example.com", "ada@ex\uff41mple.com")
    for spelling in (*spellings, "aDa@example.com "):
        await try_login(stranger, spelling, "wrong password")

    response = await try_login(stranger, "ada@example.com", PASSWORD)
    problem(response, 429, "too_many_requests")


async def test_the_owner_can_log_in_from_another_address(
    api: Api, account: Account, stranger: AsyncClient
) -> None:
    """LG5."""
    await guess(stranger, account.email, times=6)

    assert (await api.try_login(account.email, account.password)).status_code == 200


async def test_other_accounts_can_log_in_from_the_same_address(
    api: Api, account: Account, stranger: AsyncClient
) -> None:
    """LG5: a household or an office shares one address."""
    other = await api.register()
    await guess(stranger, account.email, times=6)

    assert (await try_login(stranger, other.email, PASSWORD)).status_code == 200


async def test_a_successful_login_resets_the_failed_attempts(
    account: Account, stranger: AsyncClient
) -> None:
    """LG5."""
    await guess(stranger, account.email, times=4)
    await try_login(stranger, account.email, PASSWORD)
    responses = await guess(stranger, account.email, times=6)

    assert [r.status_code for r in responses] == FIVE_REFUSALS_THEN_LIMITED


async def test_a_registration_is_not_counted_as_a_failed_login(api: Api, account: Account) -> None:
    """LG5: the address that registered may also send five wrong passwords."""
    responses = await guess(api.client, account.email, times=6)

    assert [r.status_code for r in responses] == FIVE_REFUSALS_THEN_LIMITED


@pytest.mark.settings(RATE_LIMIT_ENABLED=True, AUTH_RATE_LIMIT_ADDRESS="4/15 minutes")
async def test_an_address_is_limited_across_accounts(stranger: AsyncClient) -> None:
    """LG4: logins and registrations count together."""
    statuses = []
    for n in range(3):
        statuses.append((await try_login(stranger, f"{n}@example.com", "guess")).status_code)
        statuses.append((await register(stranger, f"{n}@example.com")).status_code)

    assert statuses == [401, 201, 401, 201, 429, 429]


@pytest.mark.settings(RATE_LIMIT_ENABLED=True, AUTH_RATE_LIMIT_ADDRESS="3/15 minutes")
async def test_a_limited_address_does_not_limit_another(api: Api, stranger: AsyncClient) -> None:
    """LG5."""
    await guess(stranger, "nobody@example.com", times=4)

    await api.register()


async def test_registering_a_taken_address_is_limited(
    account: Account, stranger: AsyncClient
) -> None:
    """LG4: the response reveals that the account exists (account enumeration)."""
    statuses = [(await register(stranger, account.email)).status_code for _ in range(6)]

    assert statuses == [409, 409, 409, 409, 409, 429]


async def test_concurrent_guesses_do_not_exceed_the_limit(
    account: Account, stranger: AsyncClient
) -> None:
    """LG8: attempts are counted before they are verified."""
    guesses = (try_login(stranger, account.email, f"guess {n}") for n in range(50))
    statuses = [response.status_code for response in await asyncio.gather(*guesses)]

    assert (statuses.count(401), statuses.count(429)) == (5, 45)


@pytest.mark.parametrize("door", ["change-password", "delete", "reauthenticate"])
async def test_a_stolen_access_token_does_not_evade_the_limit_on_guesses(
    app: FastAPI, account: Account, door: str
) -> None:
    """LG4: every route that confirms the password counts together with failed logins."""
    async with client_from(new_address(), app) as thief:
        await guess(thief, account.email, times=2)
        statuses = [
            (await confirm(thief, account, door, f"guess {n}")).status_code for n in range(3)
        ]
        limited = await confirm(thief, account, door, PASSWORD)

    assert statuses == [403, 403, 403]
    problem(limited, 429, "too_many_requests")


async def test_confirming_the_password_of_a_deleted_account_is_unauthorized(
    app: FastAPI, database: Database
) -> None:
    """The account is deleted between the checks of the access token and of the password."""
    client, own = Client("127.0.0.1", None), app.state.collaborators
    async with database.sessions() as session:
        audit = AuditTrail(
            AuditEventRepository(session, TABLES), Origin(client, "a test"), requests=own.requests
        )
        credentials = CredentialService(
            UserRepository(session),
            audit,
            passwords=own.passwords,
            policy=own.password_policy,
            attempts=own.attempts,
        )
        with pytest.raises(UnauthorizedError):
            await credentials.confirm(424242, PASSWORD, client)


async def test_confirming_the_password_resets_the_failed_attempts(
    account: Account, stranger: AsyncClient
) -> None:
    """LG5."""
    await guess(stranger, account.email, times=4)
    changed = await confirm(stranger, account, "change-password", PASSWORD)
    responses = await guess(stranger, account.email, times=6)

    assert changed.status_code == 200
    assert [r.status_code for r in responses] == FIVE_REFUSALS_THEN_LIMITED


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "True-Client-IP"])
async def test_forwarded_headers_do_not_change_the_counted_address(
    account: Account, stranger: AsyncClient, name: str
) -> None:
    """LG6: no proxy is trusted unless the settings name it."""
    statuses = []
    for _ in range(6):
        address = new_address()
        headers = {name: f"for={address}" if name == "Forwarded" else address}
        response = await try_login(stranger, account.email, "wrong password", headers=headers)
        statuses.append(response.status_code)

    assert statuses == FIVE_REFUSALS_THEN_LIMITED


@pytest.mark.parametrize(
    ("addresses", "is_one"),
    [
        ([f"2001:db8:1:1::{n:x}:{n:x}" for n in range(6)], True),
        ([f"2001:db8:1:{n:x}::1" for n in range(6)], False),
        (["198.51.100.7", "::ffff:198.51.100.7"] * 3, True),
        ([f"198.51.100.{n}" for n in range(6)], False),
        (["unknown"] * 6, True),
    ],
    ids=["one /64", "six networks of /64", "IPv4 in IPv6", "six of IPv4", "no address"],
)
async def test_an_ipv6_network_is_counted_as_one_client(
    app: FastAPI, account: Account, addresses: list[str], *, is_one: bool
) -> None:
    """LG4: customers get a whole /64, and could guess from each of its addresses in turn."""
    statuses = []
    for address in addresses:
        async with client_from(address, app) as client:
            statuses += [r.status_code for r in await guess(client, account.email, times=1)]

    assert statuses == (FIVE_REFUSALS_THEN_LIMITED if is_one else [401] * 6)


@pytest.mark.settings(RATE_LIMIT_ENABLED=False)
async def test_disabled_limits_limit_nobody(account: Account, stranger: AsyncClient) -> None:
    responses = await guess(stranger, account.email, times=7)

    assert {response.status_code for response in responses} == {401}


@pytest.mark.parametrize("counter_url", ["memory"], indirect=True)
async def test_the_limit_ends_after_retry_after(account: Account, stranger: AsyncClient) -> None:
    """LG4: not a second earlier."""
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:
        *_, limited = await guess(stranger, account.email, times=6)
        clock.shift(timedelta(seconds=int(limited.headers["retry-after"]) - 1))
        early = await try_login(stranger, account.email, PASSWORD)
        clock.shift(timedelta(seconds=1))
        late = await try_login(stranger, account.email, PASSWORD)

    assert (early.status_code, late.status_code) == (429, 200)


async def guess(client: AsyncClient, email: str, *, times: int) -> list[Response]:
    return [await try_login(client, email, f"guess {n}") for n in range(times)]


async def try_login(
    client: AsyncClient, email: str, password: str, *, headers: dict[str, str] | None = None
) -> Response:
    body = {"email": email, "password": password}
    return await client.post(LOGIN, json=body, headers=headers)


async def confirm(client: AsyncClient, account: Account, door: str, password: str) -> Response:
    """Send a request that confirms the password."""
    body = {"password": password}
    if door == "reauthenticate":
        return await client.post("/api/v1/auth/reauthenticate", json=body, headers=account.headers)
    if door == "delete":
        return await client.request("DELETE", ME, json=body, headers=account.headers)
    body = {"current_password": password, "new_password": "another good passphrase"}
    return await client.post(f"{ME}/change-password", json=body, headers=account.headers)


async def register(client: AsyncClient, email: str) -> Response:
    return await client.post(REGISTER, json={"email": email, "password": PASSWORD})
