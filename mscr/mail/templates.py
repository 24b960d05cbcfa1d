"""Mails from templates: the words of a mail are one file, rendered as text and as HTML."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from mscr.core.config import Settings
from mscr.core.notices import Notice
from mscr.mail.message import Mail
from mscr.mail.template_files import EXAMPLES, SUFFIX, MailTemplateError

if TYPE_CHECKING:
    from mscr.mail.rendering import Renderer

NOTICE_VALUES: Final = {
    "program": "Firefox on Linux",
    "address": "203.0.113.7",
    "time": "01 December 2026, 09:30 UTC",
}
# The mails that the kit sends, with example values. Their words are the application's.
KIT_MAILS: Final[Mapping[str, Mapping[str, Any]]] = {
    "confirm_registration": {"token": "an-example-of-a-token", "minutes": 60},
    "registration_taken": {},
    **{notice.value: NOTICE_VALUES for notice in Notice},
    "reset_password": {"token": "an-example-of-a-token", "minutes": 30},
    "verify_email": {"token": "an-example-of-a-token", "hours": 24},
}


class MailTemplates:
    """The templates of a folder: `NAME.jinja` for each mail, and `layout.html.jinja`.

    The first line of a template is the subject. Blank lines separate the paragraphs of the body; a
    line break within a paragraph stays one. `{{ link(url) }}` is a link, and
    `{{ button(url, "words") }}` one that HTML shows as a button. Every template gets `app_name` and
    `public_url`. Words and values are escaped in HTML, and stay as they are in text. Files whose
    names begin with `_` are for `{% include %}`.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self._common = {"app_name": settings.APP_NAME, "public_url": settings.public_url}

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the templates of an application."""
        return cls(settings.mail_templates or settings.root / "mail", settings)

    def render(self, name: str, recipient: str, /, **values: Any) -> Mail:
        """Return the mail `name`. Raises `MailTemplateError`, also if the template misses a value.

        Render all mails that a request may send, if the response must not reveal which one it is.
        """
        return self._renderer.render(name, recipient, {**self._common, **values})

    def render_example(self, name: str) -> Mail:
        """Return the mail with example values: the kit's own, or those of `examples.toml`."""
        return self.render(name, "ada@example.com", **self._examples().get(name, {}))

    def names(self) -> list[str]:
        """List the mails: those that have a file, and those that the kit sends."""
        files = {file.name.removesuffix(SUFFIX) for file in self.folder.glob(f"*{SUFFIX}")}
        own = {name for name in files if "." not in name and not name.startswith("_")}
        return sorted(own | {*KIT_MAILS} if own else own)

    def faults(self) -> dict[str, str]:
        """Return the fault of each mail that cannot be rendered with its example values."""
        faults = {}
        for name in self.names():
            try:
                self.render_example(name)
            except MailTemplateError as error:
                faults[name] = str(error)
        return faults

    def _examples(self) -> dict[str, Mapping[str, Any]]:
        import tomllib  # noqa: PLC0415  # production needs no examples

        file = self.folder / EXAMPLES
        try:
            own = tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        except ValueError as error:
            raise MailTemplateError(f"{file}: {error}") from error
        return {**KIT_MAILS, **own}

    @cached_property
    def _renderer(self) -> "Renderer":
        # jinja2 takes a tenth of a second to import, and many processes never send a mail.
        from mscr.mail.rendering import Renderer  # noqa: PLC0415

        return Renderer(self.folder)
