"""Cursors carry values of every column type that a list may be sorted by."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from mscr.queries.cursors import CursorCodec

VALUES = [
    datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC),
    date(2026, 2, 28),
    time(23, 59),
    Decimal("0.10"),
    UUID("01890a5d-ac96-774b-bcce-b302099a8057"),
    "text",
    7,
    1.5,
    True,
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_survives_a_round_trip(value: Any) -> None:
    codec = CursorCodec([b"k" * 32])

    [found] = codec.decode(codec.encode((value,), "scope"), "scope")

    assert (type(found), found) == (type(value), value)
