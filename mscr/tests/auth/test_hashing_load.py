"""PW6: hashing is bounded, sheds load, and does not block the event loop."""

import asyncio

import pytest
from httpx2 import Response

from examples.catalogue.db.session import Database
from examples.catalogue.tests.api import Api
from mscr.core.security.password import PasswordService
from mscr.testing.api import Account
from mscr.testing.databases import checked_out
from mscr.testing.hashing import busy_hashing
from mscr.testing.problems import faulty_fields, problem
from mscr.testing.waiting import PATIENCE, until

# One hash runs, a second waits, and a third is refused.
pytestmark = pytest.mark.settings(PASSWORD_HASH_THREADS=1, PASSWORD_HASH_QUEUE=1)

# Every password has a maximum length; new passwords have a lower one.
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


async def test_a_too_long_password_is_never_hashed(
    api: Api, account: Account, passwords: PasswordService, subtests: pytest.Subtests
) -> None:
    """PW1: the response is 422 although the hashing pool is full."""
    async with busy_hashing(passwords, jobs=2):
        for step, length in TOO_LONG:
            with subtests.test(f"{step} {length}"):
                response = await hashing_request(api, account, step, "p" * length)
                assert len(faulty_fields(response)) == 1


async def test_requests_without_hashing_are_served_while_the_queue_is_full(
    api: Api, account: Account, passwords: PasswordService
) -> None:
    """PW6."""
    async with busy_hashing(passwords, jobs=2):
        live = await api.client.get("/health/live")
        me = await api.me(account.access_token)
        renewed = await api.refresh(account.refresh_token)

    assert [live.status_code, me.status_code, renewed.status_code] == [200, 200, 200]


async def test_excess_logins_are_refused_and_the_queued_one_succeeds(
    api: Api, account: Account, passwords: PasswordService
) -> None:
    """PW6: the waiting one gets its response when the queue moves on."""
    async with (
        asyncio.timeout(PATIENCE.total_seconds()),
        busy_hashing(passwords, jobs=1) as may_end,
    ):
        logins = [asyncio.create_task(hashing_request(api, account, "login")) for _ in range(3)]
        answers = asyncio.as_completed(logins)
        first, second = (await next(answers)).status_code, (await next(answers)).status_code
        may_end.set()
        last = (await next(answers)).status_code

    assert [first, second, last] == [503, 503, 200]


@pytest.mark.parametrize("step", ["login", "register", "delete"])
async def test_a_request_that_waits_for_a_hash_holds_no_connection(
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


async def test_logins_succeed_again_when_the_queue_is_empty(
    api: Api, account: Account, passwords: PasswordService
) -> None:
    """PW6: finished hashes release their places."""
    for _ in range(3):
        async with busy_hashing(passwords, jobs=2):
            await hashing_request(api, account, "login")

    logins = await asyncio.gather(*(hashing_request(api, account, "login") for _ in range(2)))
    assert [response.status_code for response in logins] == [200, 200]


@pytest.mark.settings(PASSWORD_HASH_THREADS=2, PASSWORD_HASH_QUEUE=8)
async def test_the_number_of_hashing_threads_is_limited(passwords: PasswordService) -> None:
    """PW6: each thread takes the memory of one hash."""
    async with busy_hashing(passwords, jobs=10):
        assert len(passwords._pool._threads) == 2


async def test_a_disconnected_client_keeps_its_place_until_its_hash_is_done(
    api: Api, account: Account, passwords: PasswordService
) -> None:
    """PW6: otherwise clients that disconnect immediately could queue unbounded work."""
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
    """Send a request that hashes a password."""
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
