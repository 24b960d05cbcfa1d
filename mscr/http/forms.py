"""Reads `application/x-www-form-urlencoded` bodies strictly: UTF-8 alone, each field once."""

from typing import Final
from urllib.parse import parse_qsl

MAX_FIELDS: Final = 20


class FormUnreadableError(ValueError):
    """Its text is for the client, and quotes nothing of the form."""


def read_form(content: bytes) -> dict[str, str]:
    """Return the fields that have a value: an empty one counts as omitted (RFC 6749 §3.2).

    Raises `FormUnreadableError`. The framework's parser replaces undecodable bytes, so that two
    passwords could become one, and keeps the last of several values.
    """
    try:
        text = content.decode()
        fields = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except UnicodeDecodeError:
        raise FormUnreadableError("The form should be in UTF-8") from None
    except ValueError:
        raise FormUnreadableError(f"The form should have at most {MAX_FIELDS} fields") from None
    found = dict(fields)
    if len(found) < len(fields):
        raise FormUnreadableError("The form should have each field once")
    return {name: value for name, value in found.items() if value}
