"""The trace of a caller: the header `traceparent` of W3C Trace Context, Level 2."""

import re
from collections.abc import Sequence
from typing import Final

TRACE_ID_LENGTH: Final = 32

# Ids of zeros and version ff are invalid. A later version may append fields, up to a bound.
_TRACEPARENT: Final = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    r"(-[\x21-\x7e]{0,200})?"
)


def trace_id_of(values: Sequence[str]) -> str | None:
    """Return the trace id of the values of `traceparent`, or None unless one valid value exists.

    Several values are invalid: it is unknown which one the caller has sent.
    """
    found = _TRACEPARENT.fullmatch(values[0]) if len(values) == 1 else None
    if found is None:
        return None
    version, trace_id, appended = found.groups()
    return None if appended and version == "00" else trace_id
