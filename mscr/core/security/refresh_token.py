"""Refresh tokens: opaque, and recomputed from the session's row instead of being stored.

A token is the family's public id, its generation, and a MAC over both and the row's seed, with a
key from the settings. An attacker needs both the database and the key to forge one. Any generation
can be verified, and the successor recomputed, without storing either.
"""

import hmac
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

from mscr.core.security import base64url

MAC_BYTES: Final = 32
SEED_BYTES: Final = 32
_ID_BYTES: Final = 16
_GENERATION_BYTES: Final = 4
_TOKEN_BYTES: Final = _ID_BYTES + _GENERATION_BYTES + MAC_BYTES


@dataclass(frozen=True, slots=True)
class PresentedToken:
    """A token that a client sent, parsed but not yet verified."""

    family: str
    generation: int
    mac: bytes


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """The tokens of a login or a refresh. A `RefreshTransport` sends them in body or cookie.

    `expires_in` is the access token's lifetime in seconds, by RFC 6749's name. `session_lifetime`
    is the time until the session ends, unless it is refreshed before.
    """

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    session_lifetime: timedelta


class RefreshTokenCodec:
    """Issues tokens with the first key, and verifies those of all keys."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys

    def issue(self, *, family: str, generation: int, seed: bytes) -> str:
        head = UUID(family).bytes + generation.to_bytes(_GENERATION_BYTES, "big")
        mac = self._mac(self._keys[0], seed, head)
        return base64url.encode(head + mac)

    @staticmethod
    def parse(token: str) -> PresentedToken | None:
        """Return the token's parts, or None if it is malformed."""
        try:
            raw = base64url.decode(token)
        except ValueError:
            return None
        if len(raw) != _TOKEN_BYTES:
            return None
        head_end = _ID_BYTES + _GENERATION_BYTES
        return PresentedToken(
            family=str(UUID(bytes=raw[:_ID_BYTES])),
            generation=int.from_bytes(raw[_ID_BYTES:head_end], "big"),
            mac=raw[head_end:],
        )

    def verify(self, token: PresentedToken, seed: bytes) -> bool:
        """Whether the MAC matches the family's seed. Compares in constant time (timing attacks)."""
        head = UUID(token.family).bytes + token.generation.to_bytes(_GENERATION_BYTES, "big")
        return any(hmac.compare_digest(token.mac, self._mac(key, seed, head)) for key in self._keys)

    @staticmethod
    def _mac(key: bytes, seed: bytes, head: bytes) -> bytes:
        return hmac.digest(key, seed + head, "sha256")


class ParallelUses:
    """Counts the concurrent requests of this process that use a token of the same family."""

    def __init__(self) -> None:
        self._requests: Counter[str] = Counter()

    @contextmanager
    def count(self, family: str) -> Iterator[None]:
        self._requests[family] += 1
        try:
            yield
        finally:
            self._requests[family] -= 1
            if not self._requests[family]:
                del self._requests[family]

    def are_several(self, family: str) -> bool:
        return self._requests[family] > 1
