"""Rendering of mail templates by jinja2. Loaded when the first mail is rendered."""

import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from jinja2 import (
    Environment,
    FileSystemLoader,
    StrictUndefined,
    TemplateNotFound,
    TemplateSyntaxError,
)
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from markupsafe import Markup, escape

from mscr.mail.message import Mail
from mscr.mail.template_files import LAYOUT, SUFFIX, MailTemplateError

# Suffixes of the two parts of a template, for the loader.
_SUBJECT: Final = "#subject"
_BODY: Final = "#body"
_HTML: Final = ".html.jinja"
_PARAGRAPH_END: Final = re.compile(r"\n[ \t]*\n\s*")
_BLANK_LINES: Final = re.compile(r"\n\s*\n")
_OUTER_LINES: Final = re.compile(r"\A\s*\n|\n\s*\Z")
# Line breaks in a subject would be header injection. Bidirectional controls show the words after
# them in another order (spoofing).
_CONTROLS: Final = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_CONTROL: Final = re.compile(f"[{_CONTROLS}]")
# Mail programs would open others too, such as javascript: or file:.
_URL: Final = re.compile(rf"(?:https?://|mailto:)[^\s<>\"{_CONTROLS}]+", re.IGNORECASE)


class Renderer:
    """The compiled templates of a folder. A file that has changed is compiled again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        loader = _Loader(folder)
        self._text = _environment(loader, autoescape=False, link=_text_link, button=_text_button)
        self._html = _environment(loader, autoescape=True, link=_html_link, button=_html_button)
        self._html.finalize = _in_its_paragraph
        self._html.add_extension(_EscapedWords)

    def render(self, name: str, recipient: str, values: Mapping[str, Any]) -> Mail:
        """Raises `MailTemplateError` with the file, the line and the cause."""
        file = f"{name}{SUFFIX}"
        try:
            subject = _one_line(self._text.get_template(file + _SUBJECT).render(values))
            text = _lines(self._text.get_template(file + _BODY).render(values))
            words = _lines(self._html.get_template(file + _BODY).render(values))
            frame = {**values, "subject": subject, "paragraphs": _paragraphs(words)}
            html = self._html.get_template(LAYOUT).render(frame)
        except Exception as error:
            raise MailTemplateError(self._describe(error, file)) from error
        return Mail(recipient, subject, f"{text}\n", html)

    def _describe(self, error: Exception, file: str) -> str:
        message = next(iter(str(error).splitlines()), type(error).__name__)
        if isinstance(error, TemplateNotFound):
            return f"{self._folder / _file_of(str(error.name))} is missing"
        if isinstance(error, TemplateSyntaxError):
            return f"{error.filename}, line {error.lineno}: {message}"
        frames = traceback.extract_tb(error.__traceback__)
        places = [
            f"{frame.filename}, line {frame.lineno}"
            for frame in frames
            if frame.filename.endswith(SUFFIX)
        ]
        return f"{places[-1] if places else self._folder / file}: {message}"


class _Loader(FileSystemLoader):
    """Loads the first line of a template, its subject, apart from its body."""

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str, Callable[[], bool]]:
        source, path, is_fresh = super().get_source(environment, _file_of(template))
        subject, _, body = source.partition("\n")
        if template.endswith(_SUBJECT):
            source = subject
        elif template.endswith(_BODY):
            # With the number of lines of the file, for messages.
            source = f"\n{body}"
        return source, path, is_fresh


class _EscapedWords(Extension):
    """Escapes the words of a mail for HTML: they are plain text. The layout is HTML already."""

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        is_html = (stream.name or "").endswith(_HTML)
        for token in stream:
            if token.type == "data" and not is_html:
                yield Token(token.lineno, token.type, str(escape(token.value)))
            else:
                yield token


def _environment(loader: FileSystemLoader, *, autoescape: bool, **functions: Any) -> Environment:
    environment = Environment(
        loader=loader,
        autoescape=autoescape,  # noqa: S701  # off for plain text only
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(functions)
    return environment


def _file_of(template: str) -> str:
    return template.partition("#")[0]


def _one_line(text: str) -> str:
    return " ".join(_CONTROL.sub(" ", text).split())


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _in_its_paragraph(value: Any) -> str:
    """Remove the blank lines of a value: a paragraph of its own would look like one of ours."""
    if isinstance(value, Markup):
        # The result of a macro, too: its outer line breaks are the template's.
        return Markup(_BLANK_LINES.sub("\n", value))  # noqa: S704  # markup already
    return _OUTER_LINES.sub("", _BLANK_LINES.sub("\n", str(value)))


def _paragraphs(words: str) -> list[Markup]:
    # Escaped by the environment: line breaks are all that is added.
    return [Markup(each.replace("\n", "<br>\n")) for each in _PARAGRAPH_END.split(words)]  # noqa: S704


def _checked(url: str) -> str:
    if not _URL.fullmatch(url):
        raise ValueError(
            "a link begins with https://, http:// or mailto:, "
            "and has no spaces or control characters"
        )
    return url


def _text_link(url: str) -> str:
    return _checked(url)


def _text_button(url: str, words: str) -> str:
    return f"{words}:\n{_checked(url)}"


def _html_link(url: str) -> Markup:
    return Markup('<a href="{0}">{0}</a>').format(_checked(url))


def _html_button(url: str, words: str) -> Markup:
    return Markup('<a class="button" href="{}">{}</a>').format(_checked(url), words)
