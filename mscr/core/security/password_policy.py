"""Which passwords are accepted (ASVS v6.2): none that others guess first, of a length.

There is no rule about their composition (v6.2.5).
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

from app.core.config import Settings
from app.core.exceptions import ValidationFailedError
from app.core.security.password import normalize

# A context word counts from this length on, and so does what a password has besides it.
MIN_WORD_LENGTH: Final = 4
_SEPARATORS: Final = re.compile(r"[\W_]+")
# Up to four characters, again and again: aaaaaaaa, abcabcabc, 12341234.
_REPEATED: Final = re.compile(r"(.{1,4}?)\1+", re.DOTALL)


class PasswordPolicy:
    def __init__(self, settings: Settings) -> None:
        self._min_length = settings.PASSWORD_MIN_LENGTH
        self._max_length = settings.PASSWORD_MAX_LENGTH
        self._app_name = settings.APP_NAME
        self._refuse_common = settings.PASSWORD_REFUSE_COMMON
        self._common = common_passwords()

    def check(self, password: str, *, field: str) -> None:
        """Raises `ValidationFailedError` for `field` of the body."""
        password = normalize(password)
        if len(password) < self._min_length:
            raise ValidationFailedError(
                f"The password needs at least {self._min_length} characters.",
                loc=("body", field),
                error_type="password_too_short",
            )
        if len(password) > self._max_length:
            raise ValidationFailedError(
                f"The password may have at most {self._max_length} characters.",
                loc=("body", field),
                error_type="password_too_long",
            )
        folded = password.casefold()
        if self._refuse_common and (
            _is_line_of(self._common, folded) or _REPEATED.fullmatch(folded)
        ):
            raise ValidationFailedError(
                "The password is one of those that are tried first.",
                loc=("body", field),
                error_type="password_common",
            )

    def check_context(
        self, password: str, *, field: str, email: str, full_name: str | None
    ) -> None:
        """Refuse what says little more than whose account it is, and of what (ASVS v6.2.11).

        Raises `ValidationFailedError` for `field` of the body.
        """
        folded = normalize(password).casefold()
        for word in _context_words(email, full_name or "", self._app_name):
            if len(folded.replace(word, "")) < MIN_WORD_LENGTH:
                raise ValidationFailedError(
                    "The password is too much like the email address or a name.",
                    loc=("body", field),
                    error_type="password_guessable",
                )


@cache
def common_passwords() -> str:
    """Those of the zxcvbn list, gathered from leaks, that are long enough for any policy.

    One a line, with a line break before the first: a set of them would take ten times the memory.
    """
    shortest = Settings.model_fields["PASSWORD_MIN_LENGTH"].default
    return "\n".join(("", *(word for word in _leaked_passwords() if len(word) >= shortest), ""))


def _leaked_passwords() -> list[str]:
    path = distribution("zxcvbn").locate_file("zxcvbn/frequency_lists.py")
    # Not imported: that makes six lists of it, and fragments memory by megabytes.
    with Path(str(path)).open(encoding="utf-8") as lines:
        [passwords] = (line for line in lines if line.startswith('    "passwords": "'))
    return passwords.split('"')[3].split(",")


def _is_line_of(text: str, line: str) -> bool:
    return "\n" not in line and f"\n{line}\n" in text


def _context_words(email: str, full_name: str, app_name: str) -> Iterator[str]:
    texts = (email, *email.split("@"), full_name, app_name)
    phrases = [text.casefold() for text in map(normalize, texts)]
    for phrase in phrases:
        for word in (phrase, phrase.replace(" ", ""), *_SEPARATORS.split(phrase)):
            if len(word) >= MIN_WORD_LENGTH:
                yield word
