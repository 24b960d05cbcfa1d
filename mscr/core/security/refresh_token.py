"""Refresh tokens: opaque, and made anew from the family's row instead of being stored.

A token is the family's public id, its generation, and a MAC over both with the row's seed under
a key from the settings. The database alone cannot make one, nor can the key alone; any
generation can be checked, and the successor recomputed, without keeping either.
"""

import hmac
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from app.core.security import base64url

MAC_BYTES: Final = 32
SEED_BYTES: Final = 32
_ID_BYTES: Final = 16
_GENERATION_BYTES: Final = 4
_TOKEN_BYTES: Final = _ID_BYTES + _GENERATION_BYTES + MAC_BYTES


@dataclass(frozen=True, slots=True)
class PresentedToken:
    """What a client sent, taken apart and not yet believed."""

    family: str
    generation: int
    mac: bytes


class RefreshTokenCodec:
    """Makes tokens with the first key, and accepts those of the other keys too."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys

    def issue(self, *, family: str, generation: int, seed: bytes) -> str:
        head = UUID(family).bytes + generation.to_bytes(_GENERATION_BYTES, "big")
        mac = self._mac(self._keys[0], seed, head)
        return base64url.encode(head + mac)

    @staticmethod
    def parse(token: str) -> PresentedToken | None:
        """The token's parts, or None for what cannot be a token of ours."""
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
        """Whether this family's seed made it. Constant time: a guess learns nothing."""
        head = UUID(token.family).bytes + token.generation.to_bytes(_GENERATION_BYTES, "big")
        return any(hmac.compare_digest(token.mac, self._mac(key, seed, head)) for key in self._keys)

    @staticmethod
    def _mac(key: bytes, seed: bytes, head: bytes) -> bytes:
        return hmac.digest(key, seed + head, "sha256")


class ParallelUses:
    """Which families' tokens several requests of this process are using at this moment."""

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
