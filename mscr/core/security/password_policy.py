"""The password policy (ASVS v6.2): bounds on length, and no common or guessable passwords.

There are no composition rules (v6.2.5).
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

from mscr.core.config import Settings
from mscr.core.exceptions import ValidationFailedError
from mscr.core.security.password import normalize

COMMON_PASSWORDS: Final = Path(__file__).with_name("common_passwords.txt")
# Minimum length of a context word, and of the rest of a password that contains one.
MIN_WORD_LENGTH: Final = 4
_SEPARATORS: Final = re.compile(r"[\W_]+")
# A repeated pattern of up to four characters: aaaaaaaa, abcabcabc, 12341234.
_REPEATED: Final = re.compile(r"(.{1,4}?)\1+", re.DOTALL)


class PasswordPolicy:
    def __init__(self, settings: Settings) -> None:
        self._min_length = settings.PASSWORD_MIN_LENGTH
        self._max_length = settings.PASSWORD_MAX_LENGTH
        self._app_name = settings.APP_NAME
        self._refuse_common = settings.PASSWORD_REFUSE_COMMON
        self._common = common_passwords()

    def check(self, password: str, *, field: str) -> None:
        """Refuse short, long and common passwords.

        Raises `ValidationFailedError` for `field` of the body.
        """
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
                "The password is too common: attackers try it first.",
                loc=("body", field),
                error_type="password_common",
            )

    def check_context(self, password: str, *, field: str, context: Iterable[str]) -> None:
        """Refuse passwords made of the email address, a name or the application (ASVS v6.2.11).

        `context` is the texts that identify the account. Raises `ValidationFailedError` for
        `field` of the body.
        """
        folded = normalize(password).casefold()
        for word in _context_words((*context, self._app_name)):
            if len(folded.replace(word, "")) < MIN_WORD_LENGTH:
                raise ValidationFailedError(
                    "The password is too similar to the email address or a name.",
                    loc=("body", field),
                    error_type="password_guessable",
                )


@cache
def common_passwords() -> str:
    """Read the list of common passwords. Its header names its source and licence.

    Return one text with a password per line, and a line break before the first: a set would take
    ten times the memory.
    """
    _, _, passwords = COMMON_PASSWORDS.read_text(encoding="utf-8").partition("\n\n")
    return f"\n{passwords}"


def _is_line_of(text: str, line: str) -> bool:
    return "\n" not in line and f"\n{line}\n" in text


def _context_words(texts: Iterable[str]) -> Iterator[str]:
    phrases = [text.casefold() for text in map(normalize, texts)]
    for phrase in phrases:
        for word in (phrase, phrase.replace(" ", ""), *_SEPARATORS.split(phrase)):
            if len(word) >= MIN_WORD_LENGTH:
                yield word
