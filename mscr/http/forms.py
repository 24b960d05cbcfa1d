"""Parse `application/x-www-form-urlencoded` bodies strictly: only UTF-8, each field once."""

from typing import Final
from urllib.parse import parse_qsl

MAX_FIELDS: Final = 20


class FormUnreadableError(ValueError):
    """The form is not valid. The message is for the client, and quotes nothing of the form."""


def read_form(content: bytes) -> dict[str, str]:
    """Return the fields that have a value: an empty one counts as omitted (RFC 6749 §3.2).

    Raises `FormUnreadableError`. The framework's parser is too lenient: it replaces undecodable
    bytes, so that two passwords could become equal, and keeps the last of several values.
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
