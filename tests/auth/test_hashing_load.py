"""PW6: hashing is bounded, sheds load, and leaves the event loop to the other requests."""

import asyncio

import pytest
from httpx2 import Response

from app.core.security.password import PasswordService
from app.db.session import Database
from tests.data.faults import until
from tests.support.api import Account, Api
from tests.support.databases import checked_out
from tests.support.hashing import busy_hashing
from tests.support.problems import faulty_fields, problem

# One hash runs, one waits, a third is refused.
pytestmark = pytest.mark.settings(PASSWORD_HASH_THREADS=1, PASSWORD_HASH_QUEUE=1)

# What is read at all is capped everywhere, what is taken as a new password is capped lower.
TOO_LONG = [
    *((step, 1_000_000) for step in ("login", "register", "change", "delete")),
    *((step, 257) for step in ("register", "change")),
]


async def test_returns_503_when_the_queue_is_full(
    api: Api, account: Account, passwords: PasswordService, subtests: pytest.Subtests
) -> None:
    """PW6."""
    async with busy_hashing(passwords, jobs=2):
        for step in ("login", "unknown", "register", "change", "delete"):
            with subtests.test(step):
                response = await hashing_request(api, account, step)
                problem(response, 503, "service_unavailable")
                assert int(response.headers["retry-after"]) > 0


async def test_a_password_that_is_too_long_is_never_hashed(
    api: Api, account: Account, passwords: PasswordService, subtests: pytest.Subtests
) -> None:
    """PW1: it is refused where even a good one could not be hashed."""
    async with busy_hashing(passwords, jobs=2):
        for step, length in TOO_LONG:
            with subtests.test(f"{step} {length}"):
                response = await hashing_request(api, account, step, "p" * length)
                assert len(faulty_fields(response)) == 1


async def test_requests_that_do_not_hash_are_served_meanwhile(
    api: Api, account: Account, passwords: PasswordService
) -> None:
    """PW6."""
    async with busy_hashing(passwords, jobs=2):
        live = await api.client.get("/health/live")
        me = await api.me(account.access_token)
        renewed = await api.refresh(account.refresh_token)

    assert [live.status_code, me.status_code, renewed.status_code] == [200, 200, 200]


async def test_of_three_logins_one_waits_and_two_are_refused(
    api: Api, account: Account, passwords: PasswordService
) -> None:
    """PW6: the one that waits is answered when its turn has come."""
    async with asyncio.timeout(10), busy_hashing(passwords, jobs=1) as may_end:
        logins = [asyncio.create_task(hashing_request(api, account, "login")) for _ in range(3)]
        answers = asyncio.as_completed(logins)
        first, second = (await next(answers)).status_code, (await next(answers)).status_code
        may_end.set()
        last = (await next(answers)).status_code

    assert [first, second, last] == [503, 503, 200]


@pytest.mark.parametrize("step", ["login", "register", "delete"])
async def test_whoever_waits_for_a_hash_keeps_no_connection_from_others(
    api: Api, account: Account, passwords: PasswordService, database: Database, step: str
) -> None:
    """PW6, RL4."""

    async def waits() -> bool:
        return passwords._free == 0

    async with busy_hashing(passwords, jobs=1):
        waiting = asyncio.create_task(hashing_request(api, account, step))
        await until(waits)
        in_use = checked_out(database)

    assert in_use == 0
    assert (await waiting).is_success


async def test_all_are_served_again_when_the_queue_is_empty(
    api: Api, account: Account, passwords: PasswordService
) -> None:
    """PW6: places are given back."""
    for _ in range(3):
        async with busy_hashing(passwords, jobs=2):
            await hashing_request(api, account, "login")

    logins = await asyncio.gather(*(hashing_request(api, account, "login") for _ in range(2)))
    assert [response.status_code for response in logins] == [200, 200]


@pytest.mark.settings(PASSWORD_HASH_THREADS=2, PASSWORD_HASH_QUEUE=8)
async def test_no_more_threads_hash_than_the_settings_say(passwords: PasswordService) -> None:
    """PW6: each takes the memory of one hash."""
    async with busy_hashing(passwords, jobs=10):
        assert len(passwords._pool._threads) == 2


async def test_a_client_that_goes_away_gives_no_place_back_before_its_hash_is_done(
    api: Api, account: Account, passwords: PasswordService
) -> None:
    """PW6: or clients that hang up at once could pile up work without a bound."""
    async with busy_hashing(passwords, jobs=1):
        abandoned = asyncio.create_task(passwords.verify(account.password, None))
        await asyncio.sleep(0)
        abandoned.cancel()
        await asyncio.wait([abandoned])
        response = await hashing_request(api, account, "login")

    problem(response, 503, "service_unavailable")
    assert (await hashing_request(api, account, "login")).status_code == 200


async def hashing_request(
    api: Api, account: Account, step: str, password: str | None = None
) -> Response:
    """A request of which each hashes a password."""
    password = account.password if password is None else password
    change = {"current_password": account.password, "new_password": password}
    method, path, body = {
        "login": ("POST", "auth/login", {"email": account.email, "password": password}),
        "unknown": ("POST", "auth/login", {"email": "nobody", "password": password}),
        "register": ("POST", "auth/register", {"email": "ada@a.org", "password": password}),
        "change": ("POST", "users/me/change-password", change),
        "delete": ("DELETE", "users/me", {"password": password}),
    }[step]
    return await api.client.request(method, f"/api/v1/{path}", json=body, headers=account.headers)
