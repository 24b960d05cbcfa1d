"""Which passwords are accepted (ASVS v6.2): none that others guess first, of a length.

There is no rule about their composition (v6.2.5).
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib.machinery import SourceFileLoader
from importlib.metadata import distribution
from types import ModuleType
from typing import Final

from app.core.config import Settings
from app.core.exceptions import ValidationFailedError

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
        self._common = common_passwords()

    def check(self, password: str, *, field: str) -> None:
        """Raises `ValidationFailedError` for `field` of the body."""
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
        if folded in self._common or _REPEATED.fullmatch(folded):
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
        folded = password.casefold()
        for word in _context_words(email, full_name or "", self._app_name):
            if len(folded.replace(word, "")) < MIN_WORD_LENGTH:
                raise ValidationFailedError(
                    "The password is too much like the email address or a name.",
                    loc=("body", field),
                    error_type="password_guessable",
                )


@cache
def common_passwords() -> frozenset[str]:
    """Those of the zxcvbn list, gathered from leaks, that are long enough for any policy."""
    # This file alone: imported, the package would rank the words of six lists, and keep them all.
    path = distribution("zxcvbn").locate_file("zxcvbn/frequency_lists.py")
    module = ModuleType("frequency_lists")
    SourceFileLoader(module.__name__, str(path)).exec_module(module)
    shortest = Settings.model_fields["PASSWORD_MIN_LENGTH"].default
    return frozenset(word for word in module.FREQUENCY_LISTS["passwords"] if len(word) >= shortest)


def _context_words(email: str, full_name: str, app_name: str) -> Iterator[str]:
    phrases = [text.casefold() for text in (email, *email.split("@"), full_name, app_name)]
    for phrase in phrases:
        for word in (phrase, phrase.replace(" ", ""), *_SEPARATORS.split(phrase)):
            if len(word) >= MIN_WORD_LENGTH:
                yield word
