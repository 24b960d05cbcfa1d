"""Reuse and theft of refresh tokens: replayed, guessed, expired."""

import asyncio
import base64
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from httpx2 import Response
from structlog.testing import capture_logs

from examples.catalogue.db.session import Database
from examples.catalogue.tests.api import Api
from mscr.models.base import utcnow
from mscr.testing.api import Account
from mscr.testing.problems import assert_unauthorized
from mscr.testing.tokens import (
    NO_INTERVAL,
    change_family,
    counted_statements,
    forget_the_answer,
    rotated,
    what_opens,
)

# By default, these tests run without a reuse interval.
pytestmark = NO_INTERVAL

ANY_INTERVAL = pytest.mark.parametrize(
    "interval",
    [
        pytest.param(
            seconds, marks=pytest.mark.settings(REFRESH_TOKEN_REUSE_INTERVAL_SECONDS=seconds)
        )
        for seconds in (0, 10, 60)
    ],
)


async def test_a_replayed_token_is_refused(api: Api, account: Account) -> None:
    """RT2: right after its exchange."""
    await rotated(api, account.refresh_token)

    assert_unauthorized(await api.refresh(account.refresh_token), "invalid_refresh_token")


async def test_replay_revokes_the_whole_family(api: Api, account: Account) -> None:
    """RT2: the tokens of the thief and of the owner are revoked, access tokens included."""
    tokens = await rotated(api, account.refresh_token)

    await api.refresh(account.refresh_token)

    assert await what_opens(api, account.tokens, tokens) == []


async def test_replay_does_not_end_other_sessions(api: Api, account: Account) -> None:
    """RT11: each session has its own family."""
    other = await api.login(account)
    await rotated(api, account.refresh_token)

    await api.refresh(account.refresh_token)

    assert await what_opens(api, other.tokens) == ["access_token", "refresh_token"]


@ANY_INTERVAL
async def test_the_grandparent_is_reuse_in_any_interval(
    api: Api, account: Account, interval: int
) -> None:
    """RT3: the interval excuses only the predecessor of the newest token."""
    child = await rotated(api, account.refresh_token)
    grandchild = await rotated(api, child["refresh_token"])

    response = await api.refresh(account.refresh_token)

    assert response.status_code == 401
    assert await what_opens(api, grandchild) == []


@ANY_INTERVAL
async def test_the_grandparent_is_reuse_before_the_first_response(
    api: Api, account: Account, database: Database, interval: int
) -> None:
    """RT3: the race excuses only the predecessor of the newest token."""
    child = await rotated(api, account.refresh_token)
    grandchild = await rotated(api, child["refresh_token"])
    await forget_the_answer(database, account)

    await api.refresh(account.refresh_token)

    assert await what_opens(api, child, grandchild) == []


@ANY_INTERVAL
async def test_logout_beats_the_interval(api: Api, account: Account, interval: int) -> None:
    """RT4: no token of the family works again."""
    tokens = await rotated(api, account.refresh_token)
    await api.client.post("/api/v1/auth/logout", json={"refresh_token": tokens["refresh_token"]})

    assert await what_opens(api, account.tokens, tokens) == []


@ANY_INTERVAL
async def test_logout_beats_a_pending_response(
    api: Api, account: Account, database: Database, interval: int
) -> None:
    """RT4: an exchanged token logs out too."""
    tokens = await rotated(api, account.refresh_token)
    await forget_the_answer(database, account)

    await api.client.post("/api/v1/auth/logout", json={"refresh_token": account.refresh_token})

    assert await what_opens(api, account.tokens, tokens) == []


@ANY_INTERVAL
async def test_revocation_opens_no_interval(api: Api, account: Account, interval: int) -> None:
    """RT5: every token of the family, concurrently."""
    child = await rotated(api, account.refresh_token)
    grandchild = await rotated(api, child["refresh_token"])
    await api.refresh(account.refresh_token)

    family = [account.refresh_token, child["refresh_token"], grandchild["refresh_token"]]
    responses = await asyncio.gather(*[api.refresh(token) for token in family * 3])

    assert {response.status_code for response in responses} == {401}


async def test_a_garbled_token_revokes_nothing(api: Api, account: Account) -> None:
    """RT8: one character is changed, in the family's id, the generation or the secret."""
    token = account.refresh_token
    spoilt = [_spoil(token, at=place) for place in range(0, len(token), 3)]

    responses = [await api.refresh(each) for each in [*spoilt, token[:-1], token + "A"]]

    assert {response.status_code for response in responses} == {401}
    assert await what_opens(api, account.tokens) == ["access_token", "refresh_token"]


def _spoil(token: str, *, at: int) -> str:
    return token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]


async def _malformed(*_: object) -> str:
    return "garbage"


async def _unknown_family(api: Api, _: Database) -> str:
    token = (await api.register()).refresh_token
    return base64.urlsafe_b64encode(secrets.token_bytes(16)).decode()[:20] + token[20:]


async def _bad_mac(api: Api, _: Database) -> str:
    return _spoil((await api.register()).refresh_token, at=40)


async def _expired(api: Api, database: Database) -> str:
    account = await api.register()
    await change_family(database, account, idle_expires_at=utcnow())
    return account.refresh_token


async def _revoked(api: Api, _: Database) -> str:
    account = await api.register()
    body = {"refresh_token": account.refresh_token}
    await api.client.post("/api/v1/auth/logout", json=body)
    return account.refresh_token


async def _reused(api: Api, _: Database) -> str:
    account = await api.register()
    await rotated(api, account.refresh_token)
    return account.refresh_token


async def _newer_than_database(api: Api, database: Database) -> str:
    account = await api.register()
    tokens = await rotated(api, account.refresh_token)
    await change_family(database, account, generation=0)
    return str(tokens["refresh_token"])


REFUSED: dict[str, Callable[[Api, Database], Awaitable[str]]] = {
    "malformed": _malformed,
    "unknown_family": _unknown_family,
    "bad_mac": _bad_mac,
    "expired": _expired,
    "revoked": _revoked,
    "reuse_detected": _reused,
    "newer_than_database": _newer_than_database,
}


@pytest.mark.parametrize("reason", REFUSED)
async def test_the_log_has_the_reason_of_a_refusal(
    api: Api, database: Database, reason: str
) -> None:
    """RT12: the log has distinct reasons, which the response does not reveal."""
    token = await REFUSED[reason](api, database)

    with capture_logs() as events:
        await api.refresh(token)

    assert [event["reason"] for event in events if event["log_level"] == "warning"] == [reason]


async def test_all_refused_refreshes_get_the_same_response(api: Api, database: Database) -> None:
    """RT12: unknown, expired, reused, revoked: one response apart from the request id."""
    tokens = [await prepare(api, database) for prepare in REFUSED.values()]

    answers = [_without_request_id(await api.refresh(token)) for token in tokens]

    assert [answer == answers[0] for answer in answers] == [True] * len(REFUSED)


def _without_request_id(response: Response) -> tuple[Any, ...]:
    request_id = response.headers["x-request-id"]
    headers = [(name, value) for name, value in response.headers.items() if value != request_id]
    return response.status_code, headers, response.text.replace(request_id, "")


async def test_revocation_takes_a_constant_number_of_statements(
    api: Api, database: Database
) -> None:
    """RT13: a constant number of statements."""
    costs = []
    for rotations in (1, 20):
        account = await api.register()
        tokens = account.tokens
        for _ in range(rotations):
            tokens = await rotated(api, tokens["refresh_token"])
        with counted_statements(database) as statements:
            await api.refresh(account.refresh_token)
        costs.append(len(statements))

    assert costs[0] == costs[1]
