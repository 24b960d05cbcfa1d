"""Malformed request bodies as raw bytes, which a client library would not write."""

from typing import Final

# Every route that reads JSON refuses these.
BROKEN_JSON: Final[dict[str, bytes]] = {
    "nothing": b"",
    "blanks": b" \n ",
    "a raw NUL": b'{"title": "a\0b"}',
    "a NUL key": b'{"ti\\u0000tle": "a"}',
    "a lone surrogate": b'{"title": "\\ud800"}',
    "a lone surrogate as a key": b'{"\\ud800": "a"}',
    "surrogates the wrong way round": b'{"title": "\\udc00\\ud800"}',
    "NaN": b'{"title": NaN}',
    "Infinity": b'{"title": -Infinity}',
    "an infinite number": b'{"title": 1e400}',
    "a number of 5,000 digits": b'{"title": ' + b"9" * 5000 + b"}",
    "100,000 open brackets": b"[" * 100_000,
    "100,000 open brackets in a field": b'{"title": ' + b"[" * 100_000,
    "100,000 objects": b'{"title":' * 100_000,
    "900 closed brackets": b'{"title": ' + b"[" * 900 + b"]" * 900 + b"}",
    "bytes that are no UTF-8": b'{"title": "\xff\xfe"}',
    "an encoded surrogate": b'{"title": "\xed\xa0\x80"}',
    "more after the end": b'{"title": "a"} {"title": "b"}',
    "a single quote": b"{'title': 'a'}",
    "a comment": b'{"title": "a" /* b */}',
    "an open string": b'{"title": "a',
    "null": b"null",
    "a list": b'[{"title": "a"}]',
    "a string": b'"title"',
    "a number": b"1",
    "true": b"true",
}

CONTENT_TYPES: Final = [
    "",
    "text/plain",
    "text/json",
    "application/xml",
    "application/jsonx",
    "application/octet-stream",
    "multipart/form-data",
    "multipart/form-data; boundary=",
    "multipart/form-data; boundary=x",
    "application/json\0",
    "\xff",
]
