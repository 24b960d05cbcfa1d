"""Conspicuous integer keys, and a search for them in responses: integer keys must not leak."""

import base64
import binascii
import itertools
import re
import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from httpx2 import Response
from sqlalchemy import event

from mscr.models.base import ModelBase

# Ten digits, unlike any Unix time and any count, and small enough for 32 bits.
FIRST = 1_270_305_070
STEP = 10_007
# Lookahead, because a key may begin within a longer run of digits.
_DECIMAL = re.compile(rb"(?=(\d{10}))")
_HEXADECIMAL = re.compile(rb"(?=([0-9a-fA-F]{8}))")
_ENCODED = re.compile(rb"[A-Za-z0-9+/_-]{8,}")


class IntegerKeys:
    """Give every row of a base's models the next key before its INSERT, and record all of them.

    The keys of the tables in `shown` are not recorded: a contract may show them.
    """

    def __init__(self, base: type[ModelBase], shown: Collection[str] = ()) -> None:
        self._base = base
        self._shown = shown
        self._next = itertools.count(FIRST, STEP)
        self.given: set[int] = set()

    @contextmanager
    def installed(self) -> Iterator["IntegerKeys"]:
        event.listen(self._base, "before_insert", self._give, propagate=True)
        try:
            yield self
        finally:
            event.remove(self._base, "before_insert", self._give)

    def found_in(self, response: Response) -> set[int]:
        """Return the keys in headers and body: in digits, hexadecimal, and inside base64."""
        text = b"\n".join((*itertools.chain(*response.headers.raw), response.content))
        decoded = b"\n".join(_decoded(text))
        return {*_written(text), *_written(decoded), *_packed(decoded)} & self.given

    def _give(self, _mapper: object, _connection: object, target: ModelBase) -> None:
        target.id = next(self._next)
        if target.__tablename__ not in self._shown:
            self.given.add(target.id)


def _written(text: bytes) -> Iterator[int]:
    """Yield every number, decimal or hexadecimal, that has as many digits as our keys."""
    yield from (int(digits) for digits in _DECIMAL.findall(text))
    yield from (int(digits, 16) for digits in _HEXADECIMAL.findall(text))


def _packed(raw: bytes) -> Iterator[int]:
    """Yield every four bytes as a number, in both byte orders."""
    for start in range(4):
        count = max(0, len(raw) - start) // 4
        for order in "<>":
            yield from struct.unpack_from(f"{order}{count}I", raw, start)


def _decoded(text: bytes) -> Iterator[bytes]:
    # The pattern has no dot, so it finds each part of a JWT on its own.
    for word in _ENCODED.findall(text):
        with_padding = word.replace(b"-", b"+").replace(b"_", b"/") + b"=" * (-len(word) % 4)
        try:
            yield base64.b64decode(with_padding)
        except binascii.Error:
            continue
