"""Refresh tokens after a restore of the database, which lost the last rotations of a session."""

import pytest

from examples.catalogue.db.session import Database
from examples.catalogue.tests.api import Api
from mscr.testing.api import Account
from mscr.testing.problems import assert_unauthorized
from mscr.testing.tokens import NO_INTERVAL, Tokens, change_family, rotated, what_opens

LONGEST_INTERVAL = pytest.mark.settings(REFRESH_TOKEN_REUSE_INTERVAL_SECONDS=60)
AUDIT = "/api/v1/audit-events"


async def rotated_and_restored(
    api: Api, account: Account, database: Database, *, to: int
) -> list[Tokens]:
    """Return the tokens of generations 0 to 3, after setting the row back to generation `to`."""
    generations = [account.tokens]
    for _ in range(3):
        generations.append(await rotated(api, generations[-1]["refresh_token"]))
    await change_family(database, account, generation=to)
    return generations


@pytest.mark.parametrize("to", [0, 1, 2])
async def test_a_token_newer_than_the_database_is_refused_and_ends_no_session(
    api: Api, account: Account, database: Database, to: int
) -> None:
    """RT12: nothing was replayed, so it is no reuse; other sessions are untouched too."""
    other = await api.login(account)
    generations = await rotated_and_restored(api, account, database, to=to)

    response = await api.refresh(generations[3]["refresh_token"])

    assert_unauthorized(response, "invalid_refresh_token")
    assert await what_opens(api, generations[to]) == ["access_token", "refresh_token"]
    assert await what_opens(api, other.tokens) == ["access_token", "refresh_token"]


@LONGEST_INTERVAL
async def test_the_interval_excuses_no_newer_token(
    api: Api, account: Account, database: Database
) -> None:
    """RT7: the interval excuses only the predecessor."""
    generations = await rotated_and_restored(api, account, database, to=2)

    assert (await api.refresh(generations[3]["refresh_token"])).status_code == 401


@NO_INTERVAL
async def test_a_token_older_than_the_restored_row_is_reuse(
    api: Api, account: Account, database: Database
) -> None:
    """RT2, RT3."""
    generations = await rotated_and_restored(api, account, database, to=2)

    assert (await api.refresh(generations[1]["refresh_token"])).status_code == 401
    assert await what_opens(api, *generations) == []


async def test_the_audit_log_names_a_restored_database_and_no_reuse(
    api: Api, account: Account, database: Database
) -> None:
    """RT12."""
    generations = await rotated_and_restored(api, account, database, to=1)
    for _ in range(3):
        await api.refresh(generations[3]["refresh_token"])

    admin = await api.register_admin()
    found = await api.client.get(f"{AUDIT}?action=refresh", headers=admin.headers)
    assert {event["reason"] for event in found.json()["data"]} == {"newer_than_database"}


async def test_a_token_newer_than_the_database_still_logs_out(
    api: Api, account: Account, database: Database
) -> None:
    """RT4: it proves the owner, so the audit log names the actor."""
    generations = await rotated_and_restored(api, account, database, to=1)

    body = {"refresh_token": generations[3]["refresh_token"]}
    response = await api.client.post("/api/v1/auth/logout", json=body)

    assert response.status_code == 204
    assert await what_opens(api, *generations) == []
    admin = await api.register_admin()
    [logout] = (await api.client.get(f"{AUDIT}?action=logout", headers=admin.headers)).json()[
        "data"
    ]
    assert logout["actor_public_id"] == account.public_id
