"""The media type of a request's body (RFC 9110 §8.3)."""

from typing import Final

FORM_TYPE: Final = "application/x-www-form-urlencoded"
JSON_TYPE: Final = "application/json"

_UTF_8: Final = {"", "utf-8", "utf8"}


def text_media_type(content_type: str) -> str:
    """Return the media type in lower case, or an empty string for a charset other than UTF-8."""
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = {p.removeprefix("charset=").strip('"') for p in parameters if "charset=" in p}
    return media_type if charsets <= _UTF_8 else ""


def is_json(content_type: str) -> bool:
    """Return whether the framework parses a body of this type as JSON (RFC 6839 §3.1)."""
    kind, _, subtype = content_type.partition(";")[0].strip().lower().partition("/")
    return kind == "application" and (subtype == "json" or subtype.endswith("+json"))
