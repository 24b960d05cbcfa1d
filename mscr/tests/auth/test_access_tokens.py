"""Claims and lifetime of access tokens."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import jwt
import pytest
import time_machine
from fastapi import FastAPI
from pydantic import ValidationError

from examples.catalogue.core.config import Settings
from examples.catalogue.tests.api import Api
from mscr.core.security.jwt import JWTService
from mscr.testing.api import Account
from mscr.testing.databases import on_sqlite
from mscr.testing.forgery import TokenForger, claims_of
from mscr.testing.problems import assert_unauthorized
from mscr.tests.auth.conftest import RefuseEach

Test = TypeVar("Test", bound=Callable[..., object])

CLAIMS = ("iss", "aud", "sub", "sid", "jti", "iat", "exp")
LIFETIME = timedelta(minutes=15)
LEEWAY = timedelta(seconds=5)
ONE_SECOND = timedelta(seconds=1)

NO_TEXT: tuple[Any, ...] = (None, "", 0, 1.5, True, [], {}, "\0", "\ud800")
NO_TIME: tuple[Any, ...] = (
    None,
    "",
    "soon",
    "9999999999",
    -1,
    0,
    9999999999.5,
    True,
    [9999999999],
    {},
)
# JSON that Python's encoder does not write. Its parser reads 1e400 as infinity.
RAW_TIMES = ("1e400", "-1e400", "NaN", "Infinity", "-Infinity", "9" * 400 + ".5")


def each_algorithm(test: Test) -> Test:
    """Run once with each algorithm, on SQLite alone: the database makes no difference here."""
    with_algorithms: Test = pytest.mark.usefixtures("algorithm")(test)
    marked: Test = on_sqlite(with_algorithms)
    return marked


# --- claims


@each_algorithm
async def test_a_token_has_exactly_the_documented_claims_and_no_personal_data(
    account: Account, forger: TokenForger
) -> None:
    """JW2."""
    assert forger.claims.keys() == set(CLAIMS)
    assert forger.claims["sub"] == account.public_id
    assert account.email not in json.dumps(forger.claims)


@each_algorithm
async def test_a_token_without_one_of_its_claims_is_refused(
    forger: TokenForger, refuse_each: RefuseEach
) -> None:
    """JW2: signed with the real key."""
    await refuse_each({claim: forger.forge(without=[claim]) for claim in CLAIMS})


@each_algorithm
async def test_a_claim_of_another_type_than_text_is_refused(
    forger: TokenForger, refuse_each: RefuseEach
) -> None:
    """JW2: signed with the real key."""
    await refuse_each(
        {
            f"{claim}={value!r}": forger.forge(claims={claim: value})
            for claim in ("iss", "aud", "sub", "sid", "jti")
            for value in (*NO_TEXT, [forger.claims[claim]])
        }
    )


@each_algorithm
async def test_an_expiry_that_is_no_future_integer_is_refused(
    forger: TokenForger, refuse_each: RefuseEach
) -> None:
    """JW4: null, text, negative, infinite, signed with the real key."""
    header, claims = json.dumps(forger.header), json.dumps(forger.claims)
    was = f'"exp": {forger.claims["exp"]}'
    raw = {
        text[:9]: forger.sign(header, claims.replace(was, f'"exp": {text}')) for text in RAW_TIMES
    }

    await refuse_each({repr(v): forger.forge(claims={"exp": v}) for v in NO_TIME} | raw)


@each_algorithm
async def test_a_time_of_issue_that_is_no_integer_is_refused(
    forger: TokenForger, refuse_each: RefuseEach
) -> None:
    """JW2: signed with the real key."""
    header, claims = json.dumps(forger.header), json.dumps(forger.claims)
    was = f'"iat": {forger.claims["iat"]}'
    raw = {
        text[:9]: forger.sign(header, claims.replace(was, f'"iat": {text}')) for text in RAW_TIMES
    }
    values = [value for value in NO_TIME if type(value) is not int]

    await refuse_each({repr(v): forger.forge(claims={"iat": v}) for v in values} | raw)


@each_algorithm
async def test_a_token_from_the_future_is_refused(
    forger: TokenForger, refuse_each: RefuseEach
) -> None:
    """JW2: `iat`, and `nbf` if present."""
    later = forger.claims["iat"] + 60

    await refuse_each({c: forger.forge(claims={c: later}) for c in ("iat", "nbf")})


@pytest.mark.settings(JWT_ISSUER="https://issuer.example", JWT_AUDIENCE="https://api.example")
async def test_another_issuer_or_audience_is_refused(
    forger: TokenForger, refuse_each: RefuseEach
) -> None:
    """JW2: swapped, foreign, several audiences, or similar texts."""
    iss, aud = forger.claims["iss"], forger.claims["aud"]

    await refuse_each(
        {
            "swapped": forger.forge(claims={"iss": aud, "aud": iss}),
            "another issuer": forger.forge(claims={"iss": "https://other.example"}),
            "another audience": forger.forge(claims={"aud": "https://other.example"}),
            "several audiences": forger.forge(claims={"aud": [aud, "https://other.example"]}),
            "longer issuer": forger.forge(claims={"iss": f"{iss}/"}),
            "longer audience": forger.forge(claims={"aud": f"{aud}.evil.example"}),
            "upper case": forger.forge(claims={"aud": aud.upper()}),
        }
    )


async def test_a_list_with_our_audience_alone_is_refused(forger: TokenForger, app: FastAPI) -> None:
    """JW2: the library refuses them too, not only the type of our claims."""
    token = forger.forge(claims={"aud": [forger.claims["aud"]]})

    with pytest.raises(jwt.InvalidAudienceError):
        app.state.collaborators.access_tokens._decode(token)


@pytest.mark.parametrize("claim", ["sub", "sid", "jti"])
async def test_another_spelling_of_an_id_is_refused(
    forger: TokenForger, refuse_each: RefuseEach, claim: str
) -> None:
    """JW2: one session must not have several spellings."""
    text = forger.claims[claim]
    # Arabic digits: Python's isdigit() and int() accept them too.
    arabic = "".join(chr(0x0660 + int(c)) if c.isdigit() else c for c in text)
    spellings = [
        *(text.upper(), text.replace("-", ""), f"{{{text}}}", UUID(text).urn),
        *(f" {text}", f"{text}\n", f"{text}\0", arabic, "x" * 36, f"{text}' OR '1'='1"),
    ]

    await refuse_each({repr(s): forger.forge(claims={claim: s}) for s in spellings})


async def test_the_session_of_another_user_is_refused(
    api: Api, account: Account, forger: TokenForger, refuse_each: RefuseEach
) -> None:
    """JW3: `sub` and `sid` of two users who are both logged in."""
    other = claims_of((await api.register()).access_token)

    await refuse_each(
        {
            "their session": forger.forge(claims={"sid": other["sid"]}),
            "their user": forger.forge(claims={"sub": other["sub"]}),
            "ids changed round": forger.forge(
                claims={"sub": forger.claims["sid"], "sid": forger.claims["sub"]}
            ),
        }
    )


# --- lifetime


@each_algorithm
async def test_a_token_is_valid_until_its_expiry_plus_leeway(account: Account, api: Api) -> None:
    """JW4."""
    end = expiry(account) + LEEWAY - ONE_SECOND

    with time_machine.travel(end, tick=False):
        response = await api.me(account.access_token)

    assert response.status_code == 200


@each_algorithm
async def test_a_token_is_refused_after_its_expiry_plus_leeway(account: Account, api: Api) -> None:
    """JW4."""
    with time_machine.travel(expiry(account) + LEEWAY, tick=False):
        response = await api.me(account.access_token)

    assert_unauthorized(response)


async def test_a_token_is_valid_for_fifteen_minutes(account: Account, forger: TokenForger) -> None:
    """JW4: `expires_in` has the same value."""
    lifetime = forger.claims["exp"] - forger.claims["iat"]

    assert lifetime == account.tokens["expires_in"] == LIFETIME.total_seconds()


def test_a_leeway_above_one_minute_is_an_invalid_setting() -> None:
    """JW4."""
    with pytest.raises(ValidationError, match="JWT_LEEWAY_SECONDS"):
        Settings.from_env_file(None, JWT_LEEWAY_SECONDS=61)


def with_raw(forger: TokenForger, claim: str, text: str) -> str:
    """Sign a token with a claim of raw JSON text, such as a number `json.dumps` cannot produce."""
    claims = json.dumps(forger.claims | {claim: "?"}).replace('"?"', text)
    return forger.sign(json.dumps(forger.header), claims)


def expiry(account: Account) -> datetime:
    return datetime.fromtimestamp(claims_of(account.access_token)["exp"], UTC)


# --- the cache of verified tokens


async def test_a_cached_token_is_refused_once_it_expires(api: Api, account: Account) -> None:
    """JW2."""
    with time_machine.travel(0, tick=False) as clock:
        login = await api.login(account)
        statuses = []
        for moved in (timedelta(), LIFETIME + LEEWAY - ONE_SECOND, ONE_SECOND, -LEEWAY):
            clock.shift(moved)
            statuses.append((await api.me(login.access_token)).status_code)
        clock.shift(-2 * LIFETIME)
        # The clock was set back to before `iat`.
        statuses.append((await api.me(login.access_token)).status_code)

    assert statuses == [200, 200, 401, 200, 401]


async def test_a_cached_token_does_not_validate_a_similar_one(api: Api, account: Account) -> None:
    """JW1."""
    token = account.access_token
    assert (await api.me(token)).status_code == 200
    head, claims, signature = token.split(".")
    other = f"{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    for forged in (f"{head}.{claims}.{other}", f"{head}.{claims}.", f"{token}A", token[:-1]):
        assert_unauthorized(await api.me(forged))


def test_the_cache_of_verified_tokens_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mscr.core.security.jwt.MAX_VERIFIED_TOKENS", 2)
    tokens = JWTService.from_settings(Settings.from_env_file(None))
    made = [
        tokens.create_access_token(
            subject=str(uuid4()), session=str(uuid4()), now=datetime.now(UTC)
        )
        for _ in range(3)
    ]
    for token in made:
        tokens.verify_access_token(token)

    assert list(tokens._verified) == made[1:]
