"""Refresh tokens as their owner uses them: exchanged, lost on the way, grown old."""

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import time_machine
from pydantic import SecretStr
from sqlalchemy import func, select

from app.core.config import Settings
from app.db.session import Database
from app.models import RefreshToken
from app.models.base import utcnow
from tests.support.api import Account, Api
from tests.support.applications import running
from tests.support.table_rows import all_rows
from tests.support.tokens import (
    REFRESH,
    change_family,
    counted_statements,
    family_of,
    rotated,
    session_id,
    what_opens,
)

CALLERS = 20
ROTATIONS = 50
LONGEST_TOKEN = 2048
MOMENT = timedelta(seconds=1)


async def test_nothing_in_the_database_is_a_token(
    api: Api, account: Account, database: Database
) -> None:
    """RT1: whoever reads the database, and nothing else, cannot refresh."""
    await rotated(api, account.refresh_token)
    family = await family_of(database, account)
    rows = await all_rows(database)
    values = [value for table in rows.values() for row in table for value in row]

    guesses = {guess for value in values for guess in _as_tokens(value, family)}
    responses = [await api.refresh(guess) for guess in sorted(guesses)]

    assert len(guesses) > 50
    assert {response.status_code for response in responses} == {401}


def _as_tokens(value: Any, family: RefreshToken) -> Iterator[str]:
    """The forms in which somebody might try a value as a token, or as the secret part of one."""
    raw = value if isinstance(value, bytes) else str(value).encode()
    head = UUID(family.public_id).bytes + family.generation.to_bytes(4, "big")
    digest = hashlib.sha256(raw + head).digest()
    for candidate in (
        raw,
        raw[:32].ljust(32),
        head + raw,
        head + raw[:32].ljust(32),
        head + digest,
    ):
        encoded = base64.urlsafe_b64encode(candidate).decode()
        texts = (str(value), candidate.hex(), encoded, encoded.rstrip("="))
        yield from (text for text in texts if 0 < len(text) <= LONGEST_TOKEN)


async def test_every_login_has_its_own_random_seed(
    api: Api, account: Account, database: Database
) -> None:
    """RT1: 256 random bits are behind the tokens of a login."""
    logins = [account, *[await api.login(account) for _ in range(4)]]

    seeds = {(await family_of(database, login)).seed for login in logins}

    assert [len(seed) for seed in seeds] == [32] * 5


async def test_callers_at_once_get_the_same_successor(
    api: Api, account: Account, database: Database
) -> None:
    """RT6: one rotation, everybody is answered with its token, the login lives."""
    responses = await asyncio.gather(*[api.refresh(account.refresh_token) for _ in range(CALLERS)])

    assert [response.status_code for response in responses] == [200] * CALLERS
    assert len({response.json()["data"]["refresh_token"] for response in responses}) == 1
    assert (await family_of(database, account)).generation == 1
    assert (await api.refresh(responses[0].json()["data"]["refresh_token"])).status_code == 200


async def test_two_clients_that_refresh_a_moment_apart_keep_the_login(
    api: Api, account: Account
) -> None:
    """RT7: two tabs, or a retry; by default, and however often they alternate."""
    now, newest = datetime.now(UTC), account.tokens
    for _ in range(3):
        now += timedelta(minutes=1)
        with time_machine.travel(now, tick=False):
            first = await rotated(api, newest["refresh_token"])
        with time_machine.travel(now + timedelta(milliseconds=100), tick=False):
            second = await rotated(api, newest["refresh_token"])
        assert second["refresh_token"] == first["refresh_token"]
        newest = second

    with time_machine.travel(now, tick=False):
        assert await what_opens(api, newest) == ["access_token", "refresh_token"]


async def test_lost_answer_is_given_again_within_the_interval(api: Api, account: Account) -> None:
    """RT7: with the same successor; the interval is 10 s by default."""
    start = datetime.now(UTC)
    with time_machine.travel(start, tick=False):
        lost = await rotated(api, account.refresh_token)

    with time_machine.travel(start + timedelta(seconds=9.9), tick=False):
        again = await rotated(api, account.refresh_token)

    assert again["refresh_token"] == lost["refresh_token"]


async def test_lost_answer_is_not_given_after_the_interval(api: Api, account: Account) -> None:
    """RT7: the interval's end is outside of it."""
    start = datetime.now(UTC)
    with time_machine.travel(start, tick=False):
        await rotated(api, account.refresh_token)

    with time_machine.travel(start + timedelta(seconds=10), tick=False):
        response = await api.refresh(account.refresh_token)

    assert response.status_code == 401


async def test_login_ends_for_good_after_thirty_days(
    api: Api, account: Account, database: Database
) -> None:
    """RT9: the absolute limit counts from the login, however often it is refreshed."""
    end = (await family_of(database, account)).expires_at
    tokens = account.tokens
    for days in (20, 10, 1):
        with time_machine.travel(end - timedelta(days=days), tick=False):
            tokens = await rotated(api, tokens["refresh_token"])
    with time_machine.travel(end - MOMENT, tick=False):
        tokens = await rotated(api, tokens["refresh_token"])

    with time_machine.travel(end, tick=False):
        assert await what_opens(api, tokens) == []


async def test_absolute_limit_holds_whatever_the_idle_limit_says(
    api: Api, account: Account, database: Database
) -> None:
    """RT9: as after somebody shortened the logins that there are."""
    await change_family(database, account, expires_at=utcnow())

    assert await what_opens(api, account.tokens) == []


async def test_absolute_limit_is_thirty_days_from_the_login(api: Api, database: Database) -> None:
    """RT9: and a shorter one for idleness."""
    with time_machine.travel(datetime(2031, 1, 1, tzinfo=UTC), tick=False):
        account = await api.register()

    family = await family_of(database, account)

    assert family.expires_at == datetime(2031, 1, 31, tzinfo=UTC)
    assert family.idle_expires_at == datetime(2031, 1, 15, tzinfo=UTC)


async def test_login_that_is_not_refreshed_ends_after_the_idle_limit(
    api: Api, account: Account, database: Database
) -> None:
    """RT9: at the very moment."""
    end = (await family_of(database, account)).idle_expires_at

    with time_machine.travel(end, tick=False):
        assert (await api.refresh(account.refresh_token)).status_code == 401


async def test_refreshing_extends_the_idle_limit(
    api: Api, account: Account, database: Database
) -> None:
    """RT9: it counts from the last exchange."""
    end = (await family_of(database, account)).idle_expires_at
    with time_machine.travel(end - MOMENT, tick=False):
        tokens = await rotated(api, account.refresh_token)

    with time_machine.travel(end + timedelta(days=13), tick=False):
        assert (await api.refresh(tokens["refresh_token"])).status_code == 200


async def test_each_refresh_takes_the_same_statements_and_no_row(
    api: Api, account: Account, database: Database
) -> None:
    """RT13: the table grows with logins; one row is changed in place, however often."""
    tokens, costs = account.tokens, set()
    for _ in range(ROTATIONS):
        with counted_statements(database) as statements:
            tokens = await rotated(api, tokens["refresh_token"])
        costs.add(len(statements))

    async with database.read_sessions() as session:
        rows = await session.scalar(select(func.count()).select_from(RefreshToken))
    assert rows == 1
    assert len(costs) == 1


async def test_token_of_an_earlier_key_is_exchanged(
    settings: Settings, api: Api, account: Account
) -> None:
    """A new SECRET_KEY ends no login as long as the earlier one is listed."""
    changed = settings.model_copy(
        update={
            "SECRET_KEY": SecretStr(secrets.token_urlsafe(48)),
            "SECRET_KEY_PREVIOUS": [settings.SECRET_KEY],
        }
    )

    async with running(changed) as client:
        response = await client.post(REFRESH, json={"refresh_token": account.refresh_token})

    assert response.status_code == 200


async def test_deleted_row_is_no_login(api: Api, account: Account, database: Database) -> None:
    await change_family(database, account, is_deleted=True)

    assert await what_opens(api, account.tokens) == []


async def test_session_stays_the_same_through_rotations(api: Api, account: Account) -> None:

    tokens = await rotated(api, account.refresh_token)

    assert session_id(tokens) == session_id(account.tokens)
