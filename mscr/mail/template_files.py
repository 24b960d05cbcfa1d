"""The files of mail templates."""

from typing import Final

SUFFIX: Final = ".jinja"
LAYOUT: Final = "layout.html.jinja"
EXAMPLES: Final = "examples.toml"


class MailTemplateError(Exception):
    """A template is missing or broken, or misses a value. The text is one line with the cause."""
