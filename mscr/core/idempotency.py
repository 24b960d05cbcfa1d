"""Idempotency keys, which make retries safe (draft-ietf-httpapi-idempotency-key)."""

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Self

MAX_KEY_LENGTH: Final = 255
# A string of RFC 9651, as the draft requires, or a bare word, as most clients send.
KEY_PATTERN: Final = r'^(?:"(?:[ !#-\[\]-~]|\\["\\])+"|[!#-\[\]-~]+)$'
KEY_RULE: Final = "Send 1 to 255 visible ASCII characters; spaces are for a key in double quotes"
_ESCAPED: Final = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class KeyScope:
    """The user, the operation and the key: equal keys of other users or operations are distinct.

    Only a digest of the key is stored: it has a fixed length, and cannot be sent as a key.
    """

    user_id: int
    operation: str
    key_digest: bytes

    @classmethod
    def of(cls, user_id: int, operation: str, sent: str) -> Self:
        """`sent` is the value of the header. Quoted and unquoted, it is the same key."""
        key = _ESCAPED.sub(r"\1", sent[1:-1]) if sent.startswith('"') else sent
        return cls(user_id, operation, hashlib.sha256(key.encode()).digest())

    @property
    def lock_number(self) -> int:
        """The signed 64-bit number for PostgreSQL's advisory lock."""
        parts = f"{self.user_id} {self.operation} ".encode() + self.key_digest
        return int.from_bytes(hashlib.sha256(parts).digest()[:8], signed=True)


def fingerprint(method: str, target: str, body: bytes) -> bytes:
    """Return a digest that a retry shares with the first request: method, target and body."""
    return hashlib.sha256(f"{method} {target}\n".encode() + body).digest()


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A stored response, for replay."""

    status: int
    headers: dict[str, str]
    body: str
