"""Keys from PEM: accepted forms, key ids, and refusals that quote no part of a key."""

import re

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from examples.catalogue.core.config import Settings, get_settings
from mscr.core.security import base64url
from mscr.core.security.key_pairs import public_jwk, thumbprint, to_line
from mscr.core.security.key_ring import KeyRing
from mscr.core.security.signing_algorithm import SigningAlgorithm
from mscr.testing.key_pairs import (
    ASYMMETRIC,
    EDDSA,
    RS256,
    key_pair,
    name_of,
    signing_settings,
)

RFC_7638_MODULUS = (
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP"
    "ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY"
    "368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0f"
    "M4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
)


def test_the_kid_of_an_rsa_key_is_the_thumbprint_of_rfc_7638() -> None:
    """JW9: the example of its section 3.1."""
    modulus = int.from_bytes(base64url.decode(RFC_7638_MODULUS), "big")
    key = rsa.RSAPublicNumbers(65_537, modulus).public_key()

    assert thumbprint(key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    assert public_jwk(key, RS256) == {
        "kty": "RSA",
        "n": RFC_7638_MODULUS,
        "e": "AQAB",
        "use": "sig",
        "alg": "RS256",
        "kid": "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
    }


def test_the_kid_of_an_ed25519_key_is_the_thumbprint_of_rfc_8037() -> None:
    """JW9: the example of its appendix A.3."""
    x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    key = ed25519.Ed25519PublicKey.from_public_bytes(base64url.decode(x))

    assert thumbprint(key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert public_jwk(key, EDDSA) == {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": x,
        "use": "sig",
        "alg": "EdDSA",
        "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
    }


def private_pem(
    key: PrivateKeyTypes, *, form: PrivateFormat = PrivateFormat.PKCS8, password: bytes = b""
) -> str:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, form, encryption).decode()


def public_pem(key: PrivateKeyTypes) -> str:
    public = key.public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


ED25519 = key_pair(EDDSA)
RSA = key_pair(RS256)
SHORT_RSA = rsa.generate_private_key(public_exponent=65_537, key_size=1024)  # noqa: S505 - refused on purpose
P256 = ec.generate_private_key(ec.SECP256R1())
ED448 = ed448.Ed448PrivateKey.generate()
X25519 = x25519.X25519PrivateKey.generate()
PEM = private_pem(ED25519)
PUBLIC_PEM = public_pem(ED25519)
LINE = to_line(ED25519)

SPELLINGS = {
    "real line breaks": (EDDSA, PEM),
    "one line": (EDDSA, LINE),
    "one line and a break at its end": (EDDSA, LINE + "\\n"),
    "line breaks of Windows": (EDDSA, PEM.replace("\n", "\r\n")),
    "space around": (EDDSA, f"\n  {PEM}\n"),
    "OpenSSL's older format": (RS256, private_pem(RSA, form=PrivateFormat.TraditionalOpenSSL)),
}
WRONG = {
    "no PEM": (EDDSA, "canary"),
    "only the beginning": (EDDSA, PEM.splitlines()[0]),
    "damaged": (EDDSA, PEM.replace("MC4C", "MC4D")),
    "not base64": (EDDSA, "-----BEGIN PRIVATE KEY-----\ncanary!\n-----END PRIVATE KEY-----"),
    "text behind it": (EDDSA, PEM + "canary"),
    "quotes that nobody removed": (EDDSA, f'"{LINE}"'),
    "two keys": (EDDSA, PEM + PEM),
    "a public key": (EDDSA, PUBLIC_PEM),
    "encrypted": (EDDSA, private_pem(ED25519, password=b"canary")),
    "RSA for EdDSA": (EDDSA, private_pem(RSA)),
    "Ed25519 for RS256": (RS256, PEM),
    "Ed448": (EDDSA, private_pem(ED448)),
    "X25519": (EDDSA, private_pem(X25519)),
    "P-256": (EDDSA, private_pem(P256)),
    "P-256 for RS256": (RS256, private_pem(P256)),
    "short RSA": (RS256, private_pem(SHORT_RSA)),
}
WRONG_PUBLIC = {
    "no PEM": (EDDSA, "canary"),
    "damaged": (EDDSA, PUBLIC_PEM.replace("MCow", "MCox")),
    "text between": (EDDSA, f"{PUBLIC_PEM}canary\n{PUBLIC_PEM}"),
    "a comma between": (EDDSA, f"{PUBLIC_PEM},{PUBLIC_PEM}"),
    "a private key": (EDDSA, PUBLIC_PEM + PEM),
    "RSA for EdDSA": (EDDSA, PUBLIC_PEM + public_pem(RSA)),
    "Ed25519 for RS256": (RS256, PUBLIC_PEM),
    "Ed448": (EDDSA, public_pem(ED448)),
    "P-256": (RS256, public_pem(P256)),
    "short RSA": (RS256, public_pem(RSA) + public_pem(SHORT_RSA)),
}


def start(monkeypatch: pytest.MonkeyPatch, **settings: str) -> Settings:
    """Load the settings, as a process does when it starts."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return get_settings.__wrapped__()


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_private_key_is_accepted_in_every_spelling(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    algorithm, text = SPELLINGS[name]

    settings = start(monkeypatch, JWT_ALGORITHM=algorithm.value, JWT_PRIVATE_KEY=text)

    assert settings.JWT_ALGORITHM is algorithm


@pytest.mark.parametrize("environment", ["development", "test"])
@pytest.mark.parametrize("name", WRONG)
def test_an_unusable_private_key_is_refused_in_one_line_and_not_quoted(
    name: str, environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JW6, CF1: at start-up, in every environment."""
    algorithm, text = WRONG[name]

    with pytest.raises(SystemExit) as refused:
        start(
            monkeypatch,
            ENVIRONMENT=environment,
            JWT_ALGORITHM=algorithm.value,
            JWT_PRIVATE_KEY=text,
        )

    assert_told(str(refused.value), "JWT_PRIVATE_KEY", text)


@pytest.mark.parametrize("name", WRONG_PUBLIC)
def test_an_unusable_public_key_is_refused_in_one_line_and_not_quoted(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JW6, CF1."""
    algorithm, text = WRONG_PUBLIC[name]
    private_key = to_line(key_pair(algorithm))

    with pytest.raises(SystemExit) as refused:
        start(
            monkeypatch,
            JWT_ALGORITHM=algorithm.value,
            JWT_PRIVATE_KEY=private_key,
            JWT_PUBLIC_KEYS=text,
        )

    assert_told(str(refused.value), "JWT_PUBLIC_KEYS", text)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("short RSA", "at least 2048 bits"),
        ("RSA for EdDSA", "JWT_ALGORITHM=EdDSA needs an Ed25519 key"),
        ("Ed25519 for RS256", "JWT_ALGORITHM=RS256 needs an RSA key"),
        ("P-256", "JWT_ALGORITHM=EdDSA needs an Ed25519 key"),
        ("encrypted", "without a passphrase"),
        ("two keys", "one private key"),
    ],
)
def test_the_error_names_the_fault_of_the_key(
    name: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    algorithm, text = WRONG[name]

    with pytest.raises(SystemExit, match=words):
        start(monkeypatch, JWT_ALGORITHM=algorithm.value, JWT_PRIVATE_KEY=text)


@pytest.mark.parametrize("algorithm", ASYMMETRIC, ids=name_of)
def test_the_error_of_a_missing_private_key_names_the_command_that_generates_one(
    algorithm: SigningAlgorithm, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match=f"generate-keys --algorithm {algorithm.value}`"):
        start(monkeypatch, JWT_ALGORITHM=algorithm.value)


@pytest.mark.parametrize("name", ["JWT_PRIVATE_KEY", "JWT_PUBLIC_KEYS"])
def test_a_key_pair_without_its_algorithm_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JW1: otherwise tokens would be signed with the shared secret, unnoticed."""
    with pytest.raises(SystemExit) as refused:
        start(monkeypatch, **{name: LINE})

    assert_told(str(refused.value), name, LINE)


@pytest.mark.parametrize("algorithm", ASYMMETRIC, ids=name_of)
@pytest.mark.parametrize("secret", ["", "changeme" * 4], ids=["not set", "left over"])
def test_production_with_a_key_pair_needs_no_shared_secret(
    algorithm: SigningAlgorithm, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = start(
        monkeypatch,
        **signing_settings(algorithm),
        ENVIRONMENT="production",
        JWT_SECRET_KEY=secret,
        RATE_LIMIT_ENABLED="true",
        ARGON2_MEMORY_KIB="19456",
        ARGON2_TIME_COST="2",
    )

    assert KeyRing.from_settings(settings).algorithm is algorithm


@pytest.mark.parametrize("algorithm", ["none", "HS512", "ES256", "eddsa", "Ed448"])
def test_no_other_algorithm_can_be_set(algorithm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """JW1."""
    with pytest.raises(SystemExit, match="JWT_ALGORITHM: Input should be 'HS256', 'EdDSA' or"):
        start(monkeypatch, JWT_ALGORITHM=algorithm)


def test_settings_and_services_show_no_key() -> None:
    """ER3."""
    for values, key in (
        (signing_settings(EDDSA, others=["next"]), LINE),
        ({"JWT_SECRET_KEY": "canary" * 6}, "canary"),
    ):
        settings = Settings.from_env_file(None, **values)
        shown = f"{settings!r} {settings} {KeyRing.from_settings(settings)!r}"
        assert "JWT_ALGORITHM" in shown
        assert not [part for part in {"canary", *parts_of(key)} if part in shown]


def assert_told(output: str, name: str, key: str) -> None:
    [line] = output.splitlines()
    assert line.startswith(f"Configuration error: {name}")
    assert "canary" not in line
    assert not [part for part in parts_of(key) if part in line]


def parts_of(key: str) -> set[str]:
    """Return fragments that would leak a part of the key."""
    return {word[:8] for word in words_of(key) if len(word) >= 8} - {"canary"}


def words_of(text: str) -> list[str]:
    without_labels = re.sub(r"-----(BEGIN|END) [A-Z ]+-----|\\n", " ", text)
    return re.findall(r"[A-Za-z0-9+/=]+", without_labels)
