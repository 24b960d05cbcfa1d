"""Requests that may be sent again without being done again (draft-ietf-httpapi-idempotency-key)."""

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Self

REPLAYED_HEADER: Final = "Idempotency-Replayed"
MAX_KEY_LENGTH: Final = 255
# A string of RFC 9651, as the draft has it, or the bare word that most clients send.
KEY_PATTERN: Final = r'^(?:"(?:[ !#-\[\]-~]|\\["\\])+"|[!#-\[\]-~]+)$'
KEY_RULE: Final = "Send 1 to 255 visible ASCII characters; spaces are for a key in double quotes"
_ESCAPED: Final = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class KeyScope:
    """Whose key it is, and for what: the keys of others, and of other operations, are other ones.

    Only a digest of the key is kept: it has one length, and whoever reads it cannot use it.
    """

    user_id: int
    operation: str
    key_digest: bytes

    @classmethod
    def of(cls, user_id: int, operation: str, sent: str) -> Self:
        """`sent` is the header's value, quoted or not: both are the same key."""
        key = _ESCAPED.sub(r"\1", sent[1:-1]) if sent.startswith('"') else sent
        return cls(user_id, operation, hashlib.sha256(key.encode()).digest())

    @property
    def lock_number(self) -> int:
        """64 bits with a sign, as PostgreSQL's advisory locks have them."""
        parts = f"{self.user_id} {self.operation} ".encode() + self.key_digest
        return int.from_bytes(hashlib.sha256(parts).digest()[:8], signed=True)


def fingerprint(method: str, target: str, body: bytes) -> bytes:
    """What a repetition has in common with the first request: everything."""
    return hashlib.sha256(f"{method} {target}\n".encode() + body).digest()


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """An answer, as it is given again."""

    status: int
    headers: dict[str, str]
    body: str
