"""Forged access tokens, made from a genuine one."""

import base64
import hmac
import json
from collections.abc import Iterable, Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

# A text or bytes is a shared secret and makes a MAC. A private key makes a signature.
Key = str | bytes | Ed25519PrivateKey | RSAPrivateKey
RSA_HASHES = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}


class TokenForger:
    """Decodes a genuine token, and signs altered copies of it with a given key."""

    def __init__(self, genuine: str, key: Key) -> None:
        self.header = header_of(genuine)
        self.claims = claims_of(genuine)
        self.key = key

    def forge(
        self,
        *,
        header: Mapping[str, Any] | None = None,
        claims: Mapping[str, Any] | None = None,
        without: Iterable[str] = (),
        key: Key | None = None,
        digest: str = "sha256",
    ) -> str:
        """Return an altered copy; `without` names members to remove from the header and claims."""
        parts = [
            {name: value for name, value in part.items() if name not in without}
            for part in (self.header | dict(header or {}), self.claims | dict(claims or {}))
        ]
        return self.sign(*(json.dumps(part) for part in parts), key=key, digest=digest)

    def sign(
        self, header: str, claims: str, *, key: Key | None = None, digest: str = "sha256"
    ) -> str:
        """Sign these texts: for JSON that `json.dumps` does not write."""
        signed = f"{encode(header.encode())}.{encode(claims.encode())}"
        signature = _sign(self.key if key is None else key, signed.encode(), digest)
        return f"{signed}.{encode(signature)}"


def _sign(key: Key, signed: bytes, digest: str) -> bytes:
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(signed)
    if isinstance(key, RSAPrivateKey):
        return key.sign(signed, PKCS1v15(), RSA_HASHES[digest])
    return hmac.digest(key.encode() if isinstance(key, str) else key, signed, digest)


def header_of(token: str) -> dict[str, Any]:
    return _json_part(token, 0)


def claims_of(token: str) -> dict[str, Any]:
    return _json_part(token, 1)


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _json_part(token: str, index: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(decode(token.split(".")[index]))
    return found
