"""JW9: whoever knows the published keys, and nothing else, can verify access tokens."""

from typing import Any

import jwt
import pytest
from httpx2 import AsyncClient, Response

from app.core.config import Settings
from app.core.security.signing_algorithm import SigningAlgorithm
from tests.support.api import Account, Api, bearer
from tests.support.applications import running
from tests.support.databases import on_sqlite
from tests.support.forgery import header_of
from tests.support.key_pairs import ASYMMETRIC, EDDSA, RS256, signing_settings, signing_with
from tests.support.problems import assert_unauthorized

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
    """What the endpoint publishes, by `kid`."""
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
async def test_the_keys_are_a_jwk_set_that_may_be_cached_for_a_short_time(
    client: AsyncClient, signs: SigningAlgorithm
) -> None:
    """JW9: RFC 7517 §8.5.2, and no `no-store` as on other answers."""
    response = await client.get(PATH)

    assert response.headers["content-type"] == "application/jwk-set+json"
    assert response.headers.get_list("cache-control") == ["public, max-age=300"]
    assert response.headers["x-content-type-options"] == "nosniff"


@each_key_pair
async def test_a_published_key_says_what_it_is_for_and_nothing_secret(
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
async def test_a_token_is_verified_with_nothing_but_what_is_published(
    api: Api, account: Account, signs: SigningAlgorithm, settings: Settings
) -> None:
    """JW9: as another service does, by the `kid` of the token."""
    published = (await keys_of(api.client))[header_of(account.access_token)["kid"]]

    claims = verified(account.access_token, published, settings)

    assert claims["sub"] == account.public_id


@each_key_pair
async def test_another_published_key_does_not_verify_it(
    api: Api, account: Account, signs: SigningAlgorithm, settings: Settings
) -> None:
    """JW9: the key that comes next has signed nothing yet."""
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
    """The settings of the next start, on the same database."""
    return Settings(_env_file=None, DATABASE_URL=settings.DATABASE_URL, **values)


@pytest.mark.parametrize(
    "signs",
    [pytest.param(a, marks=signing_with(a), id=a.value) for a in ASYMMETRIC],
)
async def test_keys_change_without_a_login_noticing(
    api: Api, account: Account, signs: SigningAlgorithm, settings: Settings
) -> None:
    """JW6, JW9: publish the next key, sign with it, remove the old one."""
    old = account.access_token
    [old_kid] = await keys_of(api.client)

    async with running(
        restarted(settings, **signing_settings(signs, others=["next"]))
    ) as published:
        assert (await me(published, old)).status_code == 200
        tokens = await renewed(published, account.tokens)
        assert header_of(tokens["access_token"])["kid"] == old_kid
        [_, new_kid] = await keys_of(published)

    async with running(
        restarted(settings, **signing_settings(signs, "next", others=["current"]))
    ) as switched:
        assert (await me(switched, old)).status_code == 200
        tokens = await renewed(switched, tokens)
        new = tokens["access_token"]
        assert header_of(new)["kid"] == new_kid
        keys = await keys_of(switched)
        assert keys.keys() == {old_kid, new_kid}
        verified(old, keys[old_kid], settings)

    async with running(restarted(settings, **signing_settings(signs, "next"))) as removed:
        assert_unauthorized(await me(removed, old))
        assert (await me(removed, new)).status_code == 200
        assert (await keys_of(removed)).keys() == {new_kid}


@signing_with(EDDSA, others=["current", "next", "next"])
async def test_a_key_that_is_named_twice_is_published_once(client: AsyncClient) -> None:
    """JW9: the current key may stand among the others, as it does while keys change."""
    response = await client.get(PATH)

    assert len(response.json()["keys"]) == len(await keys_of(client)) == 2
