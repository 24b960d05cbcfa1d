"""Integer keys that occur nowhere by chance, and a search for them in whatever leaves the app."""

import base64
import binascii
import itertools
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from httpx2 import Response
from sqlalchemy import event

from app.models import Base

# Ten digits, far from any Unix time and any count, and small enough for 32 bits.
FIRST = 1_270_305_070
STEP = 10_007
# Lookahead, since a key may begin inside of longer digits.
_DECIMAL = re.compile(rb"(?=(\d{10}))")
_HEXADECIMAL = re.compile(rb"(?=([0-9a-fA-F]{8}))")
_ENCODED = re.compile(rb"[A-Za-z0-9+/_-]{8,}")


class IntegerKeys:
    """Every row that the ORM inserts gets the next key; all of them are remembered."""

    def __init__(self) -> None:
        self._next = itertools.count(FIRST, STEP)
        self.given: set[int] = set()

    @contextmanager
    def installed(self) -> Iterator["IntegerKeys"]:
        event.listen(Base, "before_insert", self._give, propagate=True)
        try:
            yield self
        finally:
            event.remove(Base, "before_insert", self._give)

    def found_in(self, response: Response) -> set[int]:
        """Keys in the headers or the body: as text, and as bytes inside what is base64 there."""
        text = b"\n".join((*itertools.chain(*response.headers.raw), response.content))
        decoded = b"\n".join(_decoded(text))
        return {*_written(text), *_written(decoded), *_packed(decoded)} & self.given

    def _give(self, _mapper: object, _connection: object, target: Base) -> None:
        target.id = next(self._next)
        self.given.add(target.id)


def _written(text: bytes) -> Iterator[int]:
    """Every number that has as many digits as our keys."""
    yield from (int(digits) for digits in _DECIMAL.findall(text))
    yield from (int(digits, 16) for digits in _HEXADECIMAL.findall(text))


def _packed(raw: bytes) -> Iterator[int]:
    """Every four bytes as a number, in both byte orders."""
    for start in range(4):
        count = max(0, len(raw) - start) // 4
        for order in "<>":
            yield from struct.unpack_from(f"{order}{count}I", raw, start)


def _decoded(text: bytes) -> Iterator[bytes]:
    # A JWT's parts are separated by dots, so each is found on its own.
    for word in _ENCODED.findall(text):
        with_padding = word.replace(b"-", b"+").replace(b"_", b"/") + b"=" * (-len(word) % 4)
        try:
            yield base64.b64decode(with_padding)
        except binascii.Error:
            continue
