"""Logout of one session or of all. `test_token_use.py` proves when it takes effect."""

from datetime import timedelta

import pytest
import time_machine
from httpx2 import Response

from examples.catalogue.tests.api import Api
from mscr.testing.api import Account
from mscr.testing.forgery import decode, encode
from mscr.testing.problems import assert_unauthorized, faulty_fields

LOGOUT = "/api/v1/auth/logout"
LOGOUT_ALL = "/api/v1/auth/logout-all"


async def test_logout_returns_204_without_a_body(api: Api, account: Account) -> None:
    response = await log_out(api, account.refresh_token)

    assert (response.status_code, response.content) == (204, b"")


async def test_a_second_logout_is_204(api: Api, account: Account) -> None:
    """SE2."""
    responses = [await log_out(api, account.refresh_token) for _ in range(2)]

    assert [response.status_code for response in responses] == [204, 204]


async def test_logout_works_with_an_expired_access_token(api: Api, account: Account) -> None:
    """SE2: clients send the access token with every request."""
    with time_machine.travel(timedelta(minutes=16)):
        assert_unauthorized(await api.me(account.access_token))
        response = await log_out(api, account.refresh_token, headers=account.headers)
        assert response.status_code == 204

        await assert_ended(api, account.refresh_token)


async def test_logout_works_with_an_exchanged_refresh_token(api: Api, account: Account) -> None:
    """SE2: it still identifies the session, and the newest token ends with it."""
    newest = (await api.refresh(account.refresh_token)).json()["data"]
    await log_out(api, account.refresh_token)

    assert_unauthorized(await api.me(newest["access_token"]))
    await assert_ended(api, newest["refresh_token"])


async def test_logout_ends_no_other_session(api: Api, account: Account) -> None:
    other_device, other_person = await api.login(account), await api.register()
    await log_out(api, account.refresh_token)

    for still_in in (other_device, other_person):
        assert (await api.refresh(still_in.refresh_token)).status_code == 200


async def test_logout_ends_the_session_of_the_refresh_token_not_of_the_access_token(
    api: Api, account: Account
) -> None:
    other = await api.register()
    await log_out(api, account.refresh_token, headers=other.headers)

    assert (await api.me(other.access_token)).status_code == 200
    assert_unauthorized(await api.me(account.access_token))


async def test_logout_with_an_unknown_token_is_204_and_ends_no_session(
    api: Api, account: Account, subtests: pytest.Subtests
) -> None:
    """SE2: RFC 7009 §2.2."""
    raw = decode(account.refresh_token)
    for name, token in {
        "garbage": "garbage",
        "not ASCII": "é" * 70,
        "padded": f"{account.refresh_token}==",
        "another secret": encode(raw[:-1] + bytes([raw[-1] ^ 1])),
        "no secret": encode(raw[:20] + bytes(32)),
        "shorter": encode(raw[:-1]),
        "another session": encode(bytes(16) + raw[16:]),
        "a later generation": encode(raw[:16] + b"\0\0\0\1" + raw[20:]),
    }.items():
        with subtests.test(name):
            assert (await log_out(api, token)).status_code == 204

    assert (await api.refresh(account.refresh_token)).status_code == 200


async def test_logout_requires_a_refresh_token(api: Api, account: Account) -> None:
    for body in ({}, {"refresh_token": ""}, {"refresh_token": None}, {"refresh_token": "x" * 2049}):
        response = await api.client.post(LOGOUT, json=body, headers=account.headers)
        assert faulty_fields(response) == [["body", "refresh_token"]]


async def test_logout_all_ends_all_sessions_of_the_caller_only(api: Api, account: Account) -> None:
    other_device, other_person = await api.login(account), await api.register()
    response = await api.client.post(LOGOUT_ALL, headers=account.headers)

    assert (response.status_code, response.content) == (204, b"")
    for ended in (account, other_device):
        await assert_ended(api, ended.refresh_token)
    assert (await api.refresh(other_person.refresh_token)).status_code == 200


async def test_logout_all_requires_an_access_token(api: Api, account: Account) -> None:
    assert_unauthorized(await api.client.post(LOGOUT_ALL))


@pytest.mark.parametrize("path", [LOGOUT, LOGOUT_ALL])
async def test_login_works_again_after_a_logout(api: Api, account: Account, path: str) -> None:
    body = {"refresh_token": account.refresh_token}
    await api.client.post(path, json=body, headers=account.headers)
    again = await api.login(account)

    assert (await api.me(again.access_token)).status_code == 200
    assert (await api.refresh(again.refresh_token)).status_code == 200


async def log_out(
    api: Api, refresh_token: str, *, headers: dict[str, str] | None = None
) -> Response:
    body = {"refresh_token": refresh_token}
    return await api.client.post(LOGOUT, json=body, headers=headers)


async def assert_ended(api: Api, refresh_token: str) -> None:
    assert_unauthorized(await api.refresh(refresh_token), "invalid_refresh_token")
