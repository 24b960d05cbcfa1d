"""The media type of a request's body (RFC 9110 §8.3)."""

from typing import Any, Final

from fastapi import params

FORM_TYPE: Final = "application/x-www-form-urlencoded"
MULTIPART_TYPE: Final = "multipart/form-data"
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


def unmet_media_type(content_type: str, route: Any) -> str:
    """Return the media type that this route's body needs, or an empty string if it was sent.

    A route that reads the body itself is not checked, nor is a request without a Content-Type.
    """
    body = getattr(route, "body_field", None)
    if body is None or not content_type:
        return ""
    media_type = content_type.partition(";")[0].strip().lower()
    if isinstance(body.field_info, params.File):
        return "" if media_type == MULTIPART_TYPE else MULTIPART_TYPE
    if isinstance(body.field_info, params.Form):
        return "" if media_type in {FORM_TYPE, MULTIPART_TYPE} else FORM_TYPE
    return "" if is_json(content_type) else JSON_TYPE
