from collections.abc import Awaitable, Callable, Mapping

import pytest
from fastapi import FastAPI

from examples.catalogue.core.config import Settings
from examples.catalogue.tests.api import Api
from mscr.core.security.password import PasswordService
from mscr.core.security.signing_algorithm import SigningAlgorithm
from mscr.testing.api import Account
from mscr.testing.forgery import Key, TokenForger
from mscr.testing.key_pairs import HS256, key_pair, name_of, signing_with
from mscr.testing.problems import assert_unauthorized

RefuseEach = Callable[[Mapping[str, str]], Awaitable[None]]


@pytest.fixture
async def account(api: Api) -> Account:
    return await api.register()


@pytest.fixture(
    params=[
        pytest.param(algorithm, marks=signing_with(algorithm)) for algorithm in SigningAlgorithm
    ],
    ids=name_of,
)
def algorithm(request: pytest.FixtureRequest) -> SigningAlgorithm:
    """Run a test once with each algorithm as the one that signs access tokens."""
    found: SigningAlgorithm = request.param
    return found


@pytest.fixture
def forger(account: Account, settings: Settings) -> TokenForger:
    """Forge tokens with the application's real signing key, which only an insider would have."""
    return TokenForger(account.access_token, signing_key_of(settings))


def signing_key_of(settings: Settings) -> Key:
    if settings.JWT_ALGORITHM is HS256:
        return settings.jwt_secrets[0].get_secret_value()
    return key_pair(settings.JWT_ALGORITHM)


@pytest.fixture
def passwords(app: FastAPI) -> PasswordService:
    """Return the application's own service, so that tests share its thread pool."""
    found: PasswordService = app.state.collaborators.passwords
    return found


@pytest.fixture
def refuse_each(api: Api, subtests: pytest.Subtests) -> RefuseEach:
    """Send each of the named access tokens, and check that all get the same 401 response."""

    async def present(tokens: Mapping[str, str]) -> None:
        for name, token in tokens.items():
            with subtests.test(name):
                assert_unauthorized(await api.me(token))

    return present
