"""JW6: which keys sign access tokens, and how one follows another."""

from datetime import UTC, datetime

import pytest
from pydantic import SecretStr, ValidationError

from app.core.config import Settings
from app.core.security.jwt import JWTService
from tests.auth.conftest import RefuseEach
from tests.support.api import Account, Api
from tests.support.applications import running
from tests.support.forgery import TokenForger, claims_of, header_of
from tests.support.problems import assert_unauthorized

OLD_KEY = "the key of last year which signs no more"


@pytest.mark.settings(JWT_SECRET_KEY_PREVIOUS=OLD_KEY)
async def test_a_token_of_the_previous_key_is_good_while_keys_change(
    api: Api, account: Account, settings: Settings
) -> None:
    """JW6."""
    response = await api.me(signed_by_old_key(account, settings))

    assert response.status_code == 200


async def test_a_token_of_a_key_that_is_gone_is_refused(
    api: Api, account: Account, settings: Settings
) -> None:
    """JW6."""
    assert_unauthorized(await api.me(signed_by_old_key(account, settings)))


@pytest.mark.settings(JWT_SECRET_KEY_PREVIOUS=OLD_KEY)
async def test_the_kid_says_which_key_must_have_signed(
    account: Account, settings: Settings, forger: TokenForger, refuse_each: RefuseEach
) -> None:
    """JW6: the old key under the new name, and the other way round."""
    old = TokenForger(signed_by_old_key(account, settings), OLD_KEY)

    await refuse_each(
        {
            "old key": forger.forge(key=OLD_KEY),
            "new key": old.forge(key=forger.key),
        }
    )


async def test_a_login_outlives_the_change_of_the_signing_key(
    api: Api, account: Account, settings: Settings
) -> None:
    """JW6: new tokens are of the new key."""
    before = settings.JWT_SECRET_KEY.get_secret_value()
    after = settings.model_copy(
        update={
            "JWT_SECRET_KEY": SecretStr("the key of next year, which signs from now on"),
            "JWT_SECRET_KEY_PREVIOUS": [SecretStr(before)],
        }
    )

    async with running(after) as client:
        body = {"refresh_token": account.refresh_token}
        renewed = (await client.post("/api/v1/auth/refresh", json=body)).json()["data"]
        response = await client.get("/api/v1/users/me", headers=account.headers)

    assert response.status_code == 200
    kids = {header_of(t["access_token"])["kid"] for t in (account.tokens, renewed)}
    assert len(kids) == 2


@pytest.mark.parametrize("name", ["JWT_SECRET_KEY", "JWT_SECRET_KEY_PREVIOUS"])
def test_a_short_key_is_no_valid_setting(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """JW6."""
    monkeypatch.setenv(name, "x" * 31)

    with pytest.raises(ValidationError, match=name):
        Settings(_env_file=None)


@pytest.mark.parametrize(("current", "previous"), [(31, 32), (32, 31)])
def test_a_short_key_cannot_sign_or_verify(settings: Settings, current: int, previous: int) -> None:
    """JW6."""
    short = settings.model_copy(
        update={
            "JWT_SECRET_KEY": SecretStr("x" * current),
            "JWT_SECRET_KEY_PREVIOUS": [SecretStr("y" * previous)],
        }
    )
    with pytest.raises(ValueError, match="at least 32 bytes"):
        JWTService.from_settings(short)


def signed_by_old_key(account: Account, settings: Settings) -> str:
    """A token as the application made it before OLD_KEY became a previous one."""
    then = settings.model_copy(update={"JWT_SECRET_KEY": SecretStr(OLD_KEY)})
    session = claims_of(account.access_token)["sid"]
    return JWTService.from_settings(then).create_access_token(
        subject=account.public_id, session=session, now=datetime.now(UTC)
    )
