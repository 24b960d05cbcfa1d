"""Key pairs that sign access tokens: PEM, thumbprints (RFC 7638) and JWKs (RFC 7517)."""

import hashlib
import json
import re
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from mscr.core.security import base64url
from mscr.core.security.signing_algorithm import SigningAlgorithm

PrivateKey = Ed25519PrivateKey | RSAPrivateKey
PublicKey = Ed25519PublicKey | RSAPublicKey

# RFC 7518 §3.3: a shorter modulus can be factored.
MIN_RSA_BITS: Final = 2048
# NIST SP 800-57 part 1, table 4: 2048 bits are disallowed after 2030.
NEW_RSA_BITS: Final = 3072
RSA_EXPONENT: Final = 65_537

_PEM_BLOCK: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.+?-----END \1-----", re.DOTALL)


class UnusableKeyError(ValueError):
    """The key is unusable. The message is one line for the operator, without any part of it."""


def new_private_key(algorithm: SigningAlgorithm) -> PrivateKey:
    if algorithm is SigningAlgorithm.EDDSA:
        return Ed25519PrivateKey.generate()
    return generate_private_key(RSA_EXPONENT, NEW_RSA_BITS)


def read_private_key(text: str, algorithm: SigningAlgorithm) -> PrivateKey:
    r"""Return the single key of a setting. Line breaks are real or written as `\n`.

    Raises `UnusableKeyError`.
    """
    blocks = _pem_blocks(text)
    if len(blocks) != 1:
        raise UnusableKeyError("needs one private key in PEM")
    try:
        key = load_pem_private_key(blocks[0], password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # TypeError: the key is encrypted. The library's message is dropped: it may quote the key.
        raise UnusableKeyError(
            "needs a complete private key in PEM, without a passphrase"
        ) from None
    if not isinstance(key, Ed25519PrivateKey | RSAPrivateKey):
        raise UnusableKeyError(_wrong_type(algorithm))
    _require_fit(key.public_key(), algorithm)
    return key


def read_public_keys(text: str, algorithm: SigningAlgorithm) -> list[PublicKey]:
    """Return the keys of a setting, consecutive PEM blocks. Raises `UnusableKeyError`."""
    return [_read_public_key(block, algorithm) for block in _pem_blocks(text)]


def to_line(key: PrivateKey | PublicKey) -> str:
    """Return the key as PEM on one line, for `.env` and the env files of containers."""
    if isinstance(key, Ed25519PrivateKey | RSAPrivateKey):
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    else:
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem.decode().strip().replace("\n", "\\n")


def thumbprint(key: PublicKey) -> str:
    """Return the RFC 7638 thumbprint, which is the same wherever it is computed."""
    canonical = json.dumps(_required_members(key), sort_keys=True, separators=(",", ":"))
    return base64url.encode(hashlib.sha256(canonical.encode()).digest())


def public_jwk(key: PublicKey, algorithm: SigningAlgorithm) -> dict[str, str]:
    """Return the JWK for others to verify with. It has public members only."""
    members = _required_members(key)
    return {**members, "use": "sig", "alg": algorithm.value, "kid": thumbprint(key)}


def _read_public_key(block: bytes, algorithm: SigningAlgorithm) -> PublicKey:
    if b"PRIVATE KEY-----" in block:
        raise UnusableKeyError("has a private key, but is for public keys")
    try:
        key = load_pem_public_key(block)
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKeyError("needs public keys in PEM, one after another") from None
    return _require_fit(key, algorithm)


def _pem_blocks(text: str) -> list[bytes]:
    pem = text.replace("\\n", "\n")
    if _PEM_BLOCK.sub("", pem).strip():
        raise UnusableKeyError("needs keys in PEM and nothing else; \\n may stand for a line break")
    return [block[0].encode() for block in _PEM_BLOCK.finditer(pem)]


def _require_fit(key: object, algorithm: SigningAlgorithm) -> PublicKey:
    """Return a key that fits the algorithm (RFC 8725 §3.1). Raises `UnusableKeyError`."""
    if algorithm is SigningAlgorithm.EDDSA and isinstance(key, Ed25519PublicKey):
        return key
    if algorithm is SigningAlgorithm.RS256 and isinstance(key, RSAPublicKey):
        if key.key_size < MIN_RSA_BITS:
            raise UnusableKeyError(f"an RSA key needs at least {MIN_RSA_BITS} bits")
        return key
    raise UnusableKeyError(_wrong_type(algorithm))


def _wrong_type(algorithm: SigningAlgorithm) -> str:
    kind = "an Ed25519" if algorithm is SigningAlgorithm.EDDSA else "an RSA"
    return f"JWT_ALGORITHM={algorithm.value} needs {kind} key"


def _required_members(key: PublicKey) -> dict[str, str]:
    if isinstance(key, Ed25519PublicKey):
        x = base64url.encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw))
        return {"kty": "OKP", "crv": "Ed25519", "x": x}
    numbers = key.public_numbers()
    return {"kty": "RSA", "n": _unsigned(numbers.n), "e": _unsigned(numbers.e)}


def _unsigned(number: int) -> str:
    """Encode as Base64urlUInt (RFC 7518 §2): big-endian, without leading zeros."""
    return base64url.encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))
