"""No secret is stored: one search over every log line and every row."""

from typing import Any

import pytest
from httpx2 import AsyncClient

from examples.catalogue.core.config import Settings
from examples.catalogue.db.session import Database
from examples.catalogue.tests.api import Api
from mscr.testing.api import Account, bearer
from mscr.testing.table_rows import all_rows
from mscr.tests.core.conftest import Printed

PASSWORD = "canary-password-of-the-account"
OTHER_PASSWORD = "canary-password-after-the-change"
GUESS = "canary-password-that-is-wrong"
MISPLACED = "canary-password-where-the-address-belongs"
AUTH = "/api/v1/auth"
ME = "/api/v1/users/me"


@pytest.mark.parametrize(
    "log_json",
    [
        pytest.param(as_json, marks=pytest.mark.settings(LOG_LEVEL="DEBUG", LOG_JSON=as_json))
        for as_json in (True, False)
    ],
)
async def test_no_secret_is_in_the_log_or_the_database(
    api: Api,
    database: Database,
    settings: Settings,
    printed: Printed,
    caplog: pytest.LogCaptureFixture,
    log_json: bool,
) -> None:
    """ER3: after correct and wrong use of every secret, at the lowest log level."""
    # The tests' own HTTP client logs the URLs that it requests.
    caplog.set_level("WARNING", logger="httpx2")
    tokens = await use_every_secret(api)

    kept = "\n".join(printed()) + repr(await all_rows(database))

    secrets = {
        "a password": "canary",
        "a secret key": settings.SECRET_KEY.get_secret_value(),
        "a signing key": settings.jwt_secrets[0].get_secret_value(),
        **{f"token {number}": token for number, token in enumerate(tokens)},
    }
    assert len(tokens) >= 10
    assert [name for name, secret in secrets.items() if secret in kept] == []
    # The search is over actual content.
    assert "change_password" in kept
    assert ('"event":"audit"' in kept) is log_json


async def use_every_secret(api: Api) -> list[str]:
    """Return every token that was issued on the way."""
    account = await api.register("ada@example.com", password=PASSWORD)
    again = await api.login(account)
    refreshed = (await api.refresh(again.refresh_token)).json()["data"]
    await api.refresh(again.refresh_token)
    await abuse(api.client, account)
    changed = await post(
        api.client,
        f"{ME}/change-password",
        account,
        current_password=PASSWORD,
        new_password=OTHER_PASSWORD,
    )
    last = await api.login(Account(account.email, account.public_id, {}, OTHER_PASSWORD))
    await api.client.request("DELETE", ME, json={"password": OTHER_PASSWORD}, headers=last.headers)
    given: list[dict[str, Any]] = [account.tokens, again.tokens, refreshed, changed, last.tokens]
    return [tokens[kind] for tokens in given for kind in ("access_token", "refresh_token")]


async def abuse(client: AsyncClient, account: Account) -> None:
    """Send secrets where they are refused, and where they do not belong."""
    await client.post(f"{AUTH}/login", json={"email": account.email, "password": GUESS})
    await client.post(f"{AUTH}/login", json={"email": MISPLACED, "password": GUESS})
    await client.post(f"{AUTH}/register", json={"email": MISPLACED, "password": [GUESS]})
    await client.post(f"{AUTH}/login?password={GUESS}", content=GUESS)
    await client.get(ME, headers=bearer(GUESS))
    await client.get(f"{ME}?access_token={account.access_token}", headers=bearer("x" + GUESS))
    await client.post(f"{AUTH}/refresh", json={"refresh_token": GUESS, GUESS: GUESS})
    await post(client, f"{AUTH}/reauthenticate", account, password=GUESS)


async def post(client: AsyncClient, path: str, account: Account, **body: str) -> dict[str, Any]:
    response = await client.post(path, json=body, headers=account.headers)
    data: dict[str, Any] = response.json().get("data", {})
    return data
