"""Rotation of refresh tokens: exchange, parallel use, lost responses, expiry."""

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

from examples.catalogue.core.config import Settings
from examples.catalogue.db.session import Database
from examples.catalogue.main import create_app
from examples.catalogue.models.kit_tables import RefreshToken
from examples.catalogue.tests.api import Api
from mscr.models.base import utcnow
from mscr.models.refresh_token import RefreshTokenMixin
from mscr.testing.api import Account
from mscr.testing.applications import running
from mscr.testing.table_rows import all_rows
from mscr.testing.tokens import (
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


async def test_no_value_in_the_database_is_a_valid_token(
    api: Api, account: Account, database: Database
) -> None:
    """RT1: read access to the database does not suffice to refresh."""
    await rotated(api, account.refresh_token)
    family = await family_of(database, account)
    rows = await all_rows(database)
    values = [value for table in rows.values() for row in table for value in row]

    guesses = {guess for value in values for guess in _as_tokens(value, family)}
    responses = [await api.refresh(guess) for guess in sorted(guesses)]

    assert len(guesses) > 50
    assert {response.status_code for response in responses} == {401}


def _as_tokens(value: Any, family: RefreshTokenMixin) -> Iterator[str]:
    """Yield the encodings in which an attacker might try a value as a token or as its secret."""
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


async def test_every_session_has_its_own_random_seed(
    api: Api, account: Account, database: Database
) -> None:
    """RT1: the tokens of a session are derived from 256 random bits."""
    logins = [account, *[await api.login(account) for _ in range(4)]]

    seeds = {(await family_of(database, login)).seed for login in logins}

    assert [len(seed) for seed in seeds] == [32] * 5


async def test_parallel_callers_get_the_same_successor(
    api: Api, account: Account, database: Database
) -> None:
    """RT6: there is one rotation, all responses have its token, and the session goes on."""
    responses = await asyncio.gather(*[api.refresh(account.refresh_token) for _ in range(CALLERS)])

    assert [response.status_code for response in responses] == [200] * CALLERS
    assert len({response.json()["data"]["refresh_token"] for response in responses}) == 1
    assert (await family_of(database, account)).generation == 1
    assert (await api.refresh(responses[0].json()["data"]["refresh_token"])).status_code == 200


async def test_two_clients_that_refresh_a_moment_apart_keep_the_session(
    api: Api, account: Account
) -> None:
    """RT7: two tabs or a retry, with the default interval, however often they alternate."""
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


async def test_a_lost_response_is_repeated_within_the_interval(api: Api, account: Account) -> None:
    """RT7: the response has the same successor; the interval is 10 s by default."""
    start = datetime.now(UTC)
    with time_machine.travel(start, tick=False):
        lost = await rotated(api, account.refresh_token)

    with time_machine.travel(start + timedelta(seconds=9.9), tick=False):
        again = await rotated(api, account.refresh_token)

    assert again["refresh_token"] == lost["refresh_token"]


async def test_a_lost_response_is_not_repeated_after_the_interval(
    api: Api, account: Account
) -> None:
    """RT7: the interval excludes its end."""
    start = datetime.now(UTC)
    with time_machine.travel(start, tick=False):
        await rotated(api, account.refresh_token)

    with time_machine.travel(start + timedelta(seconds=10), tick=False):
        response = await api.refresh(account.refresh_token)

    assert response.status_code == 401


async def test_a_session_expires_thirty_days_after_the_login(
    api: Api, account: Account, database: Database
) -> None:
    """RT9: the absolute limit counts from the login, however often the session is refreshed."""
    end = (await family_of(database, account)).expires_at
    tokens = account.tokens
    for days in (20, 10, 1):
        with time_machine.travel(end - timedelta(days=days), tick=False):
            tokens = await rotated(api, tokens["refresh_token"])
    with time_machine.travel(end - MOMENT, tick=False):
        tokens = await rotated(api, tokens["refresh_token"])

    with time_machine.travel(end, tick=False):
        assert await what_opens(api, tokens) == []


async def test_the_absolute_limit_holds_before_the_idle_limit(
    api: Api, account: Account, database: Database
) -> None:
    """RT9: as if an operator had shortened existing sessions."""
    await change_family(database, account, expires_at=utcnow())

    assert await what_opens(api, account.tokens) == []


async def test_the_absolute_limit_is_thirty_days_from_the_login(
    api: Api, database: Database
) -> None:
    """RT9: and the idle limit is fourteen days."""
    with time_machine.travel(datetime(2031, 1, 1, tzinfo=UTC), tick=False):
        account = await api.register()

    family = await family_of(database, account)

    assert family.expires_at == datetime(2031, 1, 31, tzinfo=UTC)
    assert family.idle_expires_at == datetime(2031, 1, 15, tzinfo=UTC)


async def test_an_idle_session_expires_after_the_idle_limit(
    api: Api, account: Account, database: Database
) -> None:
    """RT9: the limit excludes its end."""
    end = (await family_of(database, account)).idle_expires_at

    with time_machine.travel(end, tick=False):
        assert (await api.refresh(account.refresh_token)).status_code == 401


async def test_a_refresh_extends_the_idle_limit(
    api: Api, account: Account, database: Database
) -> None:
    """RT9: it counts from the last refresh."""
    end = (await family_of(database, account)).idle_expires_at
    with time_machine.travel(end - MOMENT, tick=False):
        tokens = await rotated(api, account.refresh_token)

    with time_machine.travel(end + timedelta(days=13), tick=False):
        assert (await api.refresh(tokens["refresh_token"])).status_code == 200


async def test_each_refresh_takes_constant_statements_and_adds_no_row(
    api: Api, account: Account, database: Database
) -> None:
    """RT13: the table grows with logins; a refresh updates one row in place."""
    tokens, costs = account.tokens, set()
    for _ in range(ROTATIONS):
        with counted_statements(database) as statements:
            tokens = await rotated(api, tokens["refresh_token"])
        costs.add(len(statements))

    async with database.read_sessions() as session:
        rows = await session.scalar(select(func.count()).select_from(RefreshToken))
    assert rows == 1
    assert len(costs) == 1


async def test_a_token_of_the_previous_secret_key_is_accepted(
    settings: Settings, api: Api, account: Account
) -> None:
    """A new SECRET_KEY ends no session while SECRET_KEY_PREVIOUS has the old one."""
    changed = settings.model_copy(
        update={
            "SECRET_KEY": SecretStr(secrets.token_urlsafe(48)),
            "SECRET_KEY_PREVIOUS": [settings.SECRET_KEY],
        }
    )

    async with running(create_app(changed)) as client:
        response = await client.post(REFRESH, json={"refresh_token": account.refresh_token})

    assert response.status_code == 200


async def test_a_soft_deleted_session_is_refused(
    api: Api, account: Account, database: Database
) -> None:
    await change_family(database, account, is_deleted=True)

    assert await what_opens(api, account.tokens) == []


async def test_a_rotation_keeps_the_session_id(api: Api, account: Account) -> None:

    tokens = await rotated(api, account.refresh_token)

    assert session_id(tokens) == session_id(account.tokens)
