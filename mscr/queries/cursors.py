"""The format of a cursor: a signed position in a list, opaque to clients, and fixed by the kit."""

import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from mscr.core.exceptions import ValidationFailedError
from mscr.core.security import base64url

CURSOR_TAG_BYTES: Final = 16


class InvalidCursorError(ValidationFailedError):
    code = "invalid_cursor"
    title = "Invalid cursor"

    def __init__(self) -> None:
        super().__init__(
            "The cursor does not belong to this list.", loc=("query", "cursor"), error_type="cursor"
        )


class CursorCodec:
    """Signs a position in a list. The MAC covers a scope: no other list or caller accepts it."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys

    def encode(self, position: tuple[Any, ...], scope: str) -> str:
        values = [_to_json(value) for value in position]
        # Compact JSON without \u escapes, so that a title in any script fits into a URL.
        payload = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()
        tag = self._tag(self._keys[0], payload, scope)
        return base64url.encode(tag + payload)

    def decode(self, cursor: str, scope: str) -> tuple[Any, ...]:
        """Return the position. Raise `InvalidCursorError` unless it was signed for this scope."""
        try:
            raw = base64url.decode(cursor)
        except ValueError:
            raise InvalidCursorError from None
        tag, payload = raw[:CURSOR_TAG_BYTES], raw[CURSOR_TAG_BYTES:]
        if not any(hmac.compare_digest(tag, self._tag(key, payload, scope)) for key in self._keys):
            raise InvalidCursorError
        return tuple(_from_json(value) for value in json.loads(payload))

    @staticmethod
    def _tag(key: bytes, payload: bytes, scope: str) -> bytes:
        message = hashlib.sha256(scope.encode()).digest() + payload
        return hmac.digest(key, message, "sha256")[:CURSOR_TAG_BYTES]


def _to_json(value: Any) -> Any:
    """Encode a value of a sort column: one of `_ENCODINGS`, or of a type that JSON has."""
    for name, (kind, encode, _) in _ENCODINGS.items():
        if isinstance(value, kind):
            return {name: encode(value)}
    return value


def _from_json(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    [(name, text)] = value.items()
    _, _, decode = _ENCODINGS[name]
    return decode(text)


# datetime is a subclass of date, so it comes first.
_ENCODINGS: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
    "date": (date, date.isoformat, date.fromisoformat),
    "time": (time, time.isoformat, time.fromisoformat),
    "decimal": (Decimal, str, Decimal),
    "uuid": (UUID, str, UUID),
}
