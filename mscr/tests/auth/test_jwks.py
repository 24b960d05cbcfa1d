"""JW9: the published keys (JWKS) suffice to verify access tokens."""

from typing import Any

import jwt
import pytest
from httpx2 import AsyncClient, Response

from examples.catalogue.core.config import Settings
from examples.catalogue.main import create_app
from examples.catalogue.tests.api import Api
from mscr.core.security.signing_algorithm import SigningAlgorithm
from mscr.testing.api import Account, bearer
from mscr.testing.applications import running
from mscr.testing.databases import on_sqlite
from mscr.testing.forgery import header_of
from mscr.testing.key_pairs import ASYMMETRIC, EDDSA, RS256, signing_settings, signing_with
from mscr.testing.problems import assert_unauthorized

# Nothing here depends on the database.
pytestmark = on_sqlite

PATH = "/.well-known/jwks.json"
# RFC 7517 §9.3, RFC 7518 §6.3.2 and §6.4.1.
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
MEMBERS = {
    EDDSA: {"kty", "crv", "x", "use", "alg", "kid"},
    RS256: {"kty", "n", "e", "use", "alg", "kid"},
}
sign_with = {algorithm: signing_with(algorithm, others=["next"]) for algorithm in ASYMMETRIC}
each_key_pair = pytest.mark.parametrize(
    "signs", [pytest.param(a, marks=sign_with[a], id=a.value) for a in ASYMMETRIC]
)


async def keys_of(client: AsyncClient) -> dict[str, dict[str, str]]:
    """Return the published keys by `kid`."""
    response = await client.get(PATH)
    assert response.status_code == 200
    return {key["kid"]: key for key in response.json()["keys"]}


async def test_a_shared_secret_is_not_published(client: AsyncClient, settings: Settings) -> None:
    """JW9."""
    response = await client.get(PATH)

    assert response.status_code == 200
    assert response.json() == {"keys": []}
    assert settings.jwt_secrets[0].get_secret_value() not in response.text


@each_key_pair
async def test_the_jwk_set_is_cacheable_for_five_minutes(
    client: AsyncClient, signs: SigningAlgorithm
) -> None:
    """JW9: RFC 7517 §8.5.2. Unlike other responses, it has no `no-store`."""
    response = await client.get(PATH)

    assert response.headers["content-type"] == "application/jwk-set+json"
    assert response.headers.get_list("cache-control") == ["public, max-age=300"]
    assert response.headers["x-content-type-options"] == "nosniff"


@each_key_pair
async def test_a_published_key_names_its_use_and_has_no_private_member(
    client: AsyncClient, signs: SigningAlgorithm
) -> None:
    """JW9: RFC 7517 §4, RFC 8037 §2."""
    keys = await keys_of(client)

    assert len(keys) == 2
    for key in keys.values():
        assert key.keys() == MEMBERS[signs]
        assert not key.keys() & PRIVATE_MEMBERS
        assert (key["use"], key["alg"]) == ("sig", signs.value)


@each_key_pair
async def test_a_token_can_be_verified_with_the_published_key_alone(
    api: Api, account: Account, signs: SigningAlgorithm, settings: Settings
) -> None:
    """JW9: another service selects the key by the token's `kid`."""
    published = (await keys_of(api.client))[header_of(account.access_token)["kid"]]

    claims = verified(account.access_token, published, settings)

    assert claims["sub"] == account.public_id


@each_key_pair
async def test_another_published_key_does_not_verify_the_token(
    api: Api, account: Account, signs: SigningAlgorithm, settings: Settings
) -> None:
    """JW9: the next key has signed nothing yet."""
    keys = await keys_of(api.client)
    del keys[header_of(account.access_token)["kid"]]
    [other] = keys.values()

    with pytest.raises(jwt.InvalidSignatureError):
        verified(account.access_token, other, settings)


def verified(token: str, key: dict[str, str], settings: Settings) -> dict[str, Any]:
    # PyJWK takes the algorithm from the key.
    found: dict[str, Any] = jwt.decode(
        token,
        jwt.PyJWK(key),
        algorithms=[key["alg"]],
        audience=settings.JWT_AUDIENCE,
        issuer=settings.JWT_ISSUER,
    )
    return found


async def me(client: AsyncClient, token: str) -> Response:
    return await client.get("/api/v1/users/me", headers=bearer(token))


async def renewed(client: AsyncClient, tokens: dict[str, Any]) -> dict[str, Any]:
    body = {"refresh_token": tokens["refresh_token"]}
    response = await client.post("/api/v1/auth/refresh", json=body)
    assert response.status_code == 200
    data: dict[str, Any] = response.json()["data"]
    return data


def restarted(settings: Settings, **values: Any) -> Settings:
    """Return the settings of a restart on the same database."""
    return Settings.from_env_file(None, DATABASE_URL=settings.DATABASE_URL, **values)


@pytest.mark.parametrize(
    "signs",
    [pytest.param(a, marks=signing_with(a), id=a.value) for a in ASYMMETRIC],
)
async def test_a_key_rotation_ends_no_session(
    api: Api, account: Account, signs: SigningAlgorithm, settings: Settings
) -> None:
    """JW6, JW9: publish the next key, sign with it, remove the old one."""
    old = account.access_token
    [old_kid] = await keys_of(api.client)

    async with running(
        create_app(restarted(settings, **signing_settings(signs, others=["next"])))
    ) as published:
        assert (await me(published, old)).status_code == 200
        tokens = await renewed(published, account.tokens)
        assert header_of(tokens["access_token"])["kid"] == old_kid
        [_, new_kid] = await keys_of(published)

    async with running(
        create_app(restarted(settings, **signing_settings(signs, "next", others=["current"])))
    ) as switched:
        assert (await me(switched, old)).status_code == 200
        tokens = await renewed(switched, tokens)
        new = tokens["access_token"]
        assert header_of(new)["kid"] == new_kid
        keys = await keys_of(switched)
        assert keys.keys() == {old_kid, new_kid}
        verified(old, keys[old_kid], settings)

    async with running(
        create_app(restarted(settings, **signing_settings(signs, "next")))
    ) as removed:
        assert_unauthorized(await me(removed, old))
        assert (await me(removed, new)).status_code == 200
        assert (await keys_of(removed)).keys() == {new_kid}


@signing_with(EDDSA, others=["current", "next", "next"])
async def test_a_key_configured_twice_is_published_once(client: AsyncClient) -> None:
    """JW9: during a key rotation, the current key may also be in the list of other keys."""
    response = await client.get(PATH)

    assert len(response.json()["keys"]) == len(await keys_of(client)) == 2
