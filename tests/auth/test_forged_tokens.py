"""JW1: tokens that the application did not make. Always 401 in the one shape, never 500."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.auth.conftest import RefuseEach
from tests.support.api import Api
from tests.support.callers import counting_calls
from tests.support.databases import on_sqlite
from tests.support.forgery import TokenForger, encode

# All of these are refused before any database is asked.
pytestmark = on_sqlite

ATTACKER_KEY = "a key that the attacker chose, and long enough"

# Values that a header may have in JSON, of which no code may trip.
ODD_VALUES: tuple[Any, ...] = (
    None,
    "",
    "x",
    0,
    -1,
    1.5,
    True,
    [],
    ["HS256"],
    {},
    {"a": 1},
    "\0",
    "\ud800",
    "é" * 9,
)


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def with_each(forger: TokenForger, name: str, values: Any) -> dict[str, str]:
    """Correctly signed tokens, each with another value of one header."""
    return {f"{name}={value!r:.40}": forger.forge(header={name: value}) for value in values}


async def test_the_forgers_unaltered_copy_is_accepted(api: Api, forger: TokenForger) -> None:
    """Otherwise the refusals below would prove nothing."""
    response = await api.me(forger.forge())

    assert response.status_code == 200


async def test_tokens_without_a_signature_are_refused(
    forger: TokenForger, refuse_each: RefuseEach
) -> None:
    """JW1: `alg: none`, with nothing or with a good signature behind it."""
    signed = with_each(forger, "alg", ["none", "None", "NONE", "nOnE", "HS256"])
    unsigned = {f"{name} unsigned": f"{t.rpartition('.')[0]}." for name, t in signed.items()}
    del signed["alg='HS256'"]

    await refuse_each(signed | unsigned)


async def test_other_algorithms_are_refused_even_with_the_real_key(
    forger: TokenForger, refuse_each: RefuseEach
) -> None:
    """JW1: one algorithm."""
    await refuse_each(
        {
            "HS384": forger.forge(header={"alg": "HS384"}, digest="sha384"),
            "HS512": forger.forge(header={"alg": "HS512"}, digest="sha512"),
            "missing": forger.forge(without=["alg"]),
            **with_each(forger, "alg", ["RS256", "PS256", "ES256", "EdDSA", "hs256", "HS256 "]),
            **with_each(forger, "alg", ODD_VALUES),
        }
    )


async def test_a_token_signed_with_a_key_pair_is_refused(
    forger: TokenForger, refuse_each: RefuseEach, rsa_key: rsa.RSAPrivateKey
) -> None:
    """JW1."""
    unsigned = forger.forge(header={"alg": "RS256"}).rpartition(".")[0]
    signature = rsa_key.sign(unsigned.encode(), padding.PKCS1v15(), hashes.SHA256())

    await refuse_each({"RS256": f"{unsigned}.{encode(signature)}"})


async def test_a_public_key_taken_for_the_shared_secret_is_refused(
    forger: TokenForger, refuse_each: RefuseEach, rsa_key: rsa.RSAPrivateKey
) -> None:
    """JW1: HS/RS confusion."""
    pem = rsa_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    await refuse_each(
        {alg: forger.forge(header={"alg": alg}, key=pem.decode()) for alg in ("HS256", "RS256")}
    )


async def test_a_key_inside_the_token_is_not_used(
    forger: TokenForger, refuse_each: RefuseEach
) -> None:
    """JW1: embedded `jwk` and `x5c`."""
    key = {"kty": "oct", "alg": "HS256", "kid": "mine", "k": encode(ATTACKER_KEY.encode())}
    headers: dict[str, dict[str, Any]] = {
        "jwk": {"jwk": key},
        "jwk of its own kid": {"jwk": key, "kid": "mine"},
        "x5c": {"x5c": [encode(ATTACKER_KEY.encode())]},
    }

    await refuse_each(
        {name: forger.forge(header=header, key=ATTACKER_KEY) for name, header in headers.items()}
    )


async def test_no_address_inside_a_token_is_called(api: Api, forger: TokenForger) -> None:
    """JW1: `jku` and `x5u`, no outbound request."""
    async with counting_calls() as server:
        for name in ("jku", "x5u"):
            for key in (ATTACKER_KEY, forger.key):
                await api.me(forger.forge(header={name: server.url, "kid": "theirs"}, key=key))
                await api.me(forger.forge(header={name: server.url}, key=key))

    assert server.calls == 0


async def test_keys_at_an_address_are_not_used(
    forger: TokenForger, refuse_each: RefuseEach
) -> None:
    """JW1: `jku` and `x5u`."""
    names = ("jku", "x5u")
    url = "http://127.0.0.1:9/keys"

    await refuse_each({n: forger.forge(header={n: url}, key=ATTACKER_KEY) for n in names})


async def test_critical_extensions_are_refused(
    forger: TokenForger, refuse_each: RefuseEach
) -> None:
    """JW1: none is understood, so none may be passed over (RFC 7515 §4.1.11)."""
    unknown = {"crit": ["http://example.com/new"], "http://example.com/new": True}
    unencoded = {"crit": ["b64"], "b64": False}

    await refuse_each(
        {
            "unknown": forger.forge(header=unknown),
            "unencoded payload": forger.forge(header=unencoded),
            "unencoded, not critical": forger.forge(header={"b64": False}),
            **with_each(forger, "crit", [["exp"], ["b64"], *ODD_VALUES]),
        }
    )


async def test_a_kid_that_is_not_ours_is_refused_even_with_the_real_key(
    forger: TokenForger, refuse_each: RefuseEach
) -> None:
    """JW1: paths, SQL, what is no text, and what is too long."""
    known = forger.header["kid"]
    names = ["/dev/null", "../../../dev/null", "x' UNION SELECT 'k", "x" * 2_000, "x" * 10_000]
    near = [known.upper(), f" {known}", f"{known}\0", known[:-1], [known], {known: known}]

    await refuse_each(
        {
            "missing": forger.forge(without=["kid"]),
            **with_each(forger, "kid", [*names, *near, *ODD_VALUES]),
        }
    )


async def test_a_kid_cannot_choose_an_empty_key(
    forger: TokenForger, refuse_each: RefuseEach
) -> None:
    """JW1: as if `kid` were a file to read or a query to run."""
    names = ["/dev/null", "", "x' UNION SELECT '", None]

    await refuse_each({repr(n): forger.forge(header={"kid": n}, key="") for n in names})


async def test_another_type_of_token_is_refused_even_with_the_real_key(
    forger: TokenForger, refuse_each: RefuseEach
) -> None:
    """JW2: `typ: at+jwt`."""
    types = ["JWT", "jwt", "refresh+jwt", "secevent+jwt", "at+jwt ", ["at+jwt"], *ODD_VALUES]

    await refuse_each({"missing": forger.forge(without=["typ"]), **with_each(forger, "typ", types)})


async def test_text_that_is_no_token_is_refused(
    forger: TokenForger, refuse_each: RefuseEach
) -> None:
    """JW1: too few parts, too many, none of base64."""
    genuine = forger.forge()
    header, claims, signature = genuine.split(".")

    await refuse_each(
        {
            "a word": "token",
            "dots": "..",
            "two parts": f"{header}.{claims}",
            "four parts": f"{genuine}.{signature}",
            "no claims": f"{header}..{signature}",
            "not base64": f"{header}.{claims}.!!!!",
            "another key": forger.forge(key=ATTACKER_KEY),
            "too long": forger.forge(claims={"x": "x" * 10_000}),
        }
    )


async def test_json_that_breaks_parsers_is_refused_even_with_the_real_key(
    forger: TokenForger, refuse_each: RefuseEach
) -> None:
    """JW1."""
    header, claims = json.dumps(forger.header), json.dumps(forger.claims)
    odd = {
        "no object": '["HS256"]',
        "nested": "[" * 1_400,
        "nested inside": f'{{"x": {"[" * 1_200}{"]" * 1_200}}}',
        "long number": "1" * 2_000,
        "nothing": "",
        "null": "null",
        "lone surrogate": '"\\ud800"',
    }

    await refuse_each({f"header: {name}": forger.sign(text, claims) for name, text in odd.items()})
    await refuse_each({f"claims: {name}": forger.sign(header, text) for name, text in odd.items()})
