"""JW6: the keys that sign access tokens, and their rotation."""

import os
from datetime import UTC, datetime
from itertools import permutations

import pytest
from pydantic import SecretStr, ValidationError

from examples.catalogue.core.config import Settings
from examples.catalogue.main import create_app
from examples.catalogue.tests.api import Api
from mscr.core.security.jwt import JWTService
from mscr.core.security.signing_algorithm import SigningAlgorithm
from mscr.testing.api import Account
from mscr.testing.applications import running
from mscr.testing.databases import on_sqlite
from mscr.testing.forgery import TokenForger, claims_of, header_of
from mscr.testing.key_pairs import ASYMMETRIC, EDDSA, name_of, signing_settings, signing_with
from mscr.testing.problems import assert_unauthorized
from mscr.tests.auth.conftest import RefuseEach

OLD_KEY = "the key of last year which signs no more"


@pytest.mark.settings(JWT_SECRET_KEY_PREVIOUS=OLD_KEY)
async def test_a_token_of_the_previous_key_is_accepted_during_a_rotation(
    api: Api, account: Account, settings: Settings
) -> None:
    """JW6."""
    response = await api.me(signed_by_old_key(account, settings))

    assert response.status_code == 200


async def test_a_token_of_a_removed_key_is_refused(
    api: Api, account: Account, settings: Settings
) -> None:
    """JW6."""
    assert_unauthorized(await api.me(signed_by_old_key(account, settings)))


@pytest.mark.settings(JWT_SECRET_KEY_PREVIOUS=OLD_KEY)
async def test_a_token_under_the_kid_of_another_key_is_refused(
    account: Account, settings: Settings, forger: TokenForger, refuse_each: RefuseEach
) -> None:
    """JW6: the old key under the new key's id, and vice versa."""
    old = TokenForger(signed_by_old_key(account, settings), OLD_KEY)

    await refuse_each(
        {
            "old key": forger.forge(key=OLD_KEY),
            "new key": old.forge(key=forger.key),
        }
    )


async def test_a_rotation_of_the_signing_key_ends_no_session(
    api: Api, account: Account, settings: Settings
) -> None:
    """JW6: the new key signs new tokens."""
    before = settings.jwt_secrets[0].get_secret_value()
    after = settings.model_copy(
        update={
            "JWT_SECRET_KEY": SecretStr("the key of next year, which signs from now on"),
            "JWT_SECRET_KEY_PREVIOUS": [SecretStr(before)],
        }
    )

    async with running(create_app(after)) as client:
        body = {"refresh_token": account.refresh_token}
        renewed = (await client.post("/api/v1/auth/refresh", json=body)).json()["data"]
        response = await client.get("/api/v1/users/me", headers=account.headers)

    assert response.status_code == 200
    kids = {header_of(t["access_token"])["kid"] for t in (account.tokens, renewed)}
    assert len(kids) == 2


@pytest.mark.parametrize("name", ["JWT_SECRET_KEY", "JWT_SECRET_KEY_PREVIOUS"])
def test_a_short_key_is_an_invalid_setting(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """JW6."""
    monkeypatch.setenv(name, "x" * 31)

    with pytest.raises(ValidationError, match=name):
        Settings.from_env_file(None)


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


# Each ordered pair of algorithms; the first one is configured at the start.
CHANGES = [
    pytest.param(before, after, marks=signing_with(before))
    for before, after in permutations(SigningAlgorithm, 2)
]


@on_sqlite
@pytest.mark.parametrize(("before", "after"), CHANGES, ids=name_of)
async def test_a_change_of_the_algorithm_ends_access_tokens_and_no_session(
    account: Account, settings: Settings, before: SigningAlgorithm, after: SigningAlgorithm
) -> None:
    """JW1, JW6: one algorithm at a time; a refresh returns a token of the new one."""
    changed = Settings.from_env_file(
        None, DATABASE_URL=settings.DATABASE_URL, **signing_settings(after)
    )

    async with running(create_app(changed)) as client:
        refused = await client.get("/api/v1/users/me", headers=account.headers)
        body = {"refresh_token": account.refresh_token}
        renewed = (await client.post("/api/v1/auth/refresh", json=body)).json()["data"]
        headers = {"Authorization": f"Bearer {renewed['access_token']}"}
        response = await client.get("/api/v1/users/me", headers=headers)

    assert header_of(account.access_token)["alg"] == before.value
    assert_unauthorized(refused)
    assert header_of(renewed["access_token"])["alg"] == after.value
    assert response.status_code == 200


@on_sqlite
@signing_with(EDDSA)
async def test_the_hs256_secret_is_refused_with_other_algorithms(
    account: Account, settings: Settings, refuse_each: RefuseEach
) -> None:
    """JW1, JW6."""
    secret = os.environ["JWT_SECRET_KEY"]
    with_secret = settings.model_copy(update={"JWT_ALGORITHM": SigningAlgorithm.HS256})
    genuine = JWTService.from_settings(with_secret).create_access_token(
        subject=account.public_id,
        session=claims_of(account.access_token)["sid"],
        now=datetime.now(UTC),
    )
    forger = TokenForger(account.access_token, secret)

    await refuse_each({"as made": genuine, "our kid": forger.forge(header={"alg": "HS256"})})


@pytest.mark.parametrize("algorithm", ASYMMETRIC, ids=name_of)
@on_sqlite
def test_an_algorithm_without_its_private_key_does_not_fall_back(
    settings: Settings, algorithm: SigningAlgorithm
) -> None:
    """JW1."""
    without_key = settings.model_copy(update={"JWT_ALGORITHM": algorithm})

    with pytest.raises(ValueError, match="private key"):
        JWTService.from_settings(without_key)


def signed_by_old_key(account: Account, settings: Settings) -> str:
    """Return a token that the application signed while OLD_KEY was its current key."""
    then = settings.model_copy(update={"JWT_SECRET_KEY": SecretStr(OLD_KEY)})
    session = claims_of(account.access_token)["sid"]
    return JWTService.from_settings(then).create_access_token(
        subject=account.public_id, session=session, now=datetime.now(UTC)
    )
