"""JW1: tokens that the application did not sign: always the same 401, never 500.

Each test runs with every algorithm that can be configured.
"""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from examples.catalogue.tests.api import Api
from mscr.core.security.key_pairs import public_jwk, to_line
from mscr.core.security.signing_algorithm import SigningAlgorithm
from mscr.testing.callers import counting_calls
from mscr.testing.databases import on_sqlite
from mscr.testing.forgery import Key, TokenForger, encode
from mscr.testing.key_pairs import ASYMMETRIC, HS256, RS256, key_pair, name_of
from mscr.tests.auth.conftest import RefuseEach

# All of these are refused before any query.
pytestmark = [on_sqlite, pytest.mark.usefixtures("algorithm")]

ATTACKER_SECRET = "a key that the attacker chose, and long enough"
ALGORITHMS = ("HS256", "HS384", "HS512", "RS256", "RS512", "PS256", "ES256", "EdDSA", "Ed25519")

# JSON values of unexpected types, which must not break the parser of the header.
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


@pytest.fixture
def attacker_key(algorithm: SigningAlgorithm) -> Key:
    """Return a foreign key of the application's algorithm."""
    return ATTACKER_SECRET if algorithm is HS256 else key_pair(algorithm, "attacker")


def with_each(forger: TokenForger, name: str, values: Any) -> dict[str, str]:
    """Return correctly signed tokens, each with another value of one header."""
    return {f"{name}={value!r:.40}": forger.forge(header={name: value}) for value in values}


async def test_a_cached_header_does_not_validate_a_forged_signature(
    api: Api, forger: TokenForger, refuse_each: RefuseEach, attacker_key: Key
) -> None:
    """JW1: a bounded cache holds headers of valid tokens; signatures are still verified."""
    for number in range(20):
        response = await api.me(forger.forge(header={"x": number}))
        assert response.status_code == 200

    await refuse_each(
        {f"x={n}": forger.forge(header={"x": n}, key=attacker_key) for n in (0, 19, 20)}
    )


async def test_the_forgers_unaltered_copy_is_accepted(api: Api, forger: TokenForger) -> None:
    """Otherwise the refusals in this module would prove nothing."""
    response = await api.me(forger.forge())

    assert response.status_code == 200


async def test_tokens_without_a_signature_are_refused(
    forger: TokenForger, refuse_each: RefuseEach
) -> None:
    """JW1: `alg: none`, without a signature or with a valid one."""
    genuine = forger.header["alg"]
    signed = with_each(forger, "alg", ["none", "None", "NONE", "nOnE", genuine])
    unsigned = {f"{name} unsigned": f"{t.rpartition('.')[0]}." for name, t in signed.items()}
    del signed[f"alg={genuine!r}"]

    await refuse_each(signed | unsigned)


async def test_other_algorithms_are_refused_even_with_the_real_key(
    forger: TokenForger, refuse_each: RefuseEach
) -> None:
    """JW1: exactly one algorithm is accepted."""
    genuine = forger.header["alg"]
    others = [name for name in ALGORITHMS if name != genuine]
    spellings = [genuine.swapcase(), f"{genuine} ", f"{genuine}\0"]

    await refuse_each(
        {
            **{f"sha{bits}": with_hash(forger, bits) for bits in (384, 512)},
            "missing": forger.forge(without=["alg"]),
            **with_each(forger, "alg", [*others, *spellings, *ODD_VALUES]),
        }
    )


def with_hash(forger: TokenForger, bits: int) -> str:
    """Return a correctly signed token of HS384, RS512 and so on; EdDSA has only one hash."""
    return forger.forge(header={"alg": f"{forger.header['alg'][:2]}{bits}"}, digest=f"sha{bits}")


@pytest.mark.parametrize("another", ASYMMETRIC, ids=name_of)
async def test_a_token_signed_with_a_foreign_key_pair_is_refused(
    forger: TokenForger, refuse_each: RefuseEach, another: SigningAlgorithm
) -> None:
    """JW1."""
    key = key_pair(another, "attacker")
    kid = public_jwk(key.public_key(), another)["kid"]
    headers: dict[str, dict[str, Any]] = {
        "our kid": {"alg": another.value},
        "its own kid": {"alg": another.value, "kid": kid},
        "our algorithm": {},
    }

    await refuse_each({n: forger.forge(header=h, key=key) for n, h in headers.items()})


async def test_a_public_key_used_as_the_shared_secret_is_refused(
    forger: TokenForger, refuse_each: RefuseEach, algorithm: SigningAlgorithm
) -> None:
    """JW1: algorithm confusion (HS/RS), with every public form of the key as HMAC secret."""
    pair = RS256 if algorithm is HS256 else algorithm
    public, jwk = key_pair(pair).public_key(), public_jwk(key_pair(pair).public_key(), pair)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secrets: dict[str, str | bytes] = {
        "PEM": pem,
        "PEM, stripped": pem.strip(),
        "PEM, one line": to_line(public),
        "DER": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "JWK": json.dumps(jwk),
        "JWK, compact": json.dumps(jwk, separators=(",", ":")),
        "JWK Set": json.dumps({"keys": [jwk]}),
        "kid": jwk["kid"],
        "x or n": jwk.get("x", jwk.get("n", "")),
    }

    await refuse_each(
        {
            f"{name}, {alg}": forger.forge(header={"alg": alg}, key=secret)
            for name, secret in secrets.items()
            for alg in ("HS256", pair.value)
        }
    )


async def test_a_key_inside_the_token_is_not_used(
    forger: TokenForger, refuse_each: RefuseEach, algorithm: SigningAlgorithm, attacker_key: Key
) -> None:
    """JW1: embedded `jwk` and `x5c`."""
    key = {"kty": "oct", "alg": "HS256", "kid": "mine", "k": encode(ATTACKER_SECRET.encode())}
    if algorithm is not HS256:
        key = public_jwk(key_pair(algorithm, "attacker").public_key(), algorithm)
    headers: dict[str, dict[str, Any]] = {
        "jwk": {"jwk": key},
        "jwk of its own kid": {"jwk": key, "kid": key["kid"]},
        "x5c": {"x5c": [encode(ATTACKER_SECRET.encode())]},
    }

    await refuse_each(
        {name: forger.forge(header=header, key=attacker_key) for name, header in headers.items()}
    )


async def test_a_url_inside_a_token_is_not_requested(
    api: Api, forger: TokenForger, attacker_key: Key
) -> None:
    """JW1: `jku` and `x5u`, no outbound request."""
    async with counting_calls() as server:
        for name in ("jku", "x5u"):
            for key in (attacker_key, forger.key):
                await api.me(forger.forge(header={name: server.url, "kid": "theirs"}, key=key))
                await api.me(forger.forge(header={name: server.url}, key=key))

    assert server.calls == 0


async def test_keys_at_a_url_are_not_used(
    forger: TokenForger, refuse_each: RefuseEach, attacker_key: Key
) -> None:
    """JW1: `jku` and `x5u`."""
    names = ("jku", "x5u")
    url = "http://127.0.0.1:9/keys"

    await refuse_each({n: forger.forge(header={n: url}, key=attacker_key) for n in names})


async def test_critical_extensions_are_refused(
    forger: TokenForger, refuse_each: RefuseEach
) -> None:
    """JW1: none is supported, so none may be ignored (RFC 7515 §4.1.11)."""
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


async def test_an_unknown_kid_is_refused_even_with_the_real_key(
    forger: TokenForger, refuse_each: RefuseEach
) -> None:
    """JW1: paths, SQL injection, other types than text, and excessive length."""
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
    """JW1: path traversal and SQL injection, as if `kid` named a file or went into a query."""
    names = ["/dev/null", "", "x' UNION SELECT '", None]

    await refuse_each({repr(n): forger.forge(header={"kid": n}, key="") for n in names})


async def test_another_type_of_token_is_refused_even_with_the_real_key(
    forger: TokenForger, refuse_each: RefuseEach
) -> None:
    """JW2: `typ: at+jwt`."""
    types = ["JWT", "jwt", "refresh+jwt", "secevent+jwt", "at+jwt ", ["at+jwt"], *ODD_VALUES]

    await refuse_each({"missing": forger.forge(without=["typ"]), **with_each(forger, "typ", types)})


async def test_malformed_tokens_are_refused(
    forger: TokenForger, refuse_each: RefuseEach, attacker_key: Key
) -> None:
    """JW1: too few parts, too many, invalid base64, too long."""
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
            "another key": forger.forge(key=attacker_key),
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
