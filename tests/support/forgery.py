"""Access tokens that nobody should accept, made from a genuine one."""

import base64
import hmac
import json
from collections.abc import Iterable, Mapping
from typing import Any


class TokenForger:
    """Takes a genuine token apart, and signs altered copies of it with the key it is given."""

    def __init__(self, genuine: str, key: str) -> None:
        self.header = header_of(genuine)
        self.claims = claims_of(genuine)
        self.key = key

    def forge(
        self,
        *,
        header: Mapping[str, Any] | None = None,
        claims: Mapping[str, Any] | None = None,
        without: Iterable[str] = (),
        key: str | None = None,
        digest: str = "sha256",
    ) -> str:
        """`without` names what to leave out of the header and of the claims."""
        parts = [
            {name: value for name, value in part.items() if name not in without}
            for part in (self.header | dict(header or {}), self.claims | dict(claims or {}))
        ]
        return self.sign(*(json.dumps(part) for part in parts), key=key, digest=digest)

    def sign(
        self, header: str, claims: str, *, key: str | None = None, digest: str = "sha256"
    ) -> str:
        """For JSON that `json.dumps` does not write."""
        signed = f"{encode(header.encode())}.{encode(claims.encode())}"
        secret = (self.key if key is None else key).encode()
        return f"{signed}.{encode(hmac.digest(secret, signed.encode(), digest))}"


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
