"""The SQL of a check constraint's condition, as databases store it."""

import re
from typing import Final

_LITERAL: Final = r"'(?:[^']|'')*'"
_WORD: Final = r'(?:"[^"]+"|\w+)'
_TOKEN: Final = re.compile(rf"{_LITERAL}|{_WORD}|[^\w\s]")
_TYPE: Final = r"(?:character varying|double precision|time(?:stamp)? with(?:out)? time zone|\w+)"
_LITERAL_OR_CAST: Final = re.compile(rf"({_LITERAL})|::{_TYPE}(?:\([\d, ]+\))?(?:\[\])*")
_LIST: Final = rf"{_LITERAL}(?:, ?{_LITERAL})*"
_ARRAY: Final = re.compile(rf"({_WORD}) (= ANY|<> ALL) \(ARRAY\[({_LIST})\]\)")
_CHOICE: Final = re.compile(rf"({_WORD}) (?:IN \(({_LIST})\)|= ({_LITERAL}))")


def comparable(condition: str | None) -> list[str] | None:
    """Return the tokens: SQLite keeps the spaces and quotes that the condition was written with."""
    if condition is None:
        return None
    tokens = _TOKEN.findall(condition)
    return [token if token.startswith("'") else token.strip('"').lower() for token in tokens]


def names_in(condition: str) -> set[str]:
    """Return the words of a condition, among them the names of its columns."""
    return {token.strip('"') for token in _TOKEN.findall(condition)}


def portable(condition: str) -> str:
    """Write PostgreSQL's form of a condition so that SQLite accepts it too, where possible."""
    without_casts = _LITERAL_OR_CAST.sub(lambda found: found[1] or "", condition)
    return _ARRAY.sub(_in_list, without_casts)


def admits(condition: str, other: str | None) -> bool:
    """Return whether both list values of one column, and the first has all values of the other."""
    more, fewer = _CHOICE.fullmatch(condition), _CHOICE.fullmatch(other or "")
    if more is None or fewer is None:
        return False
    return more[1].strip('"') == fewer[1].strip('"') and _values(more) >= _values(fewer)


def _values(choice: re.Match[str]) -> set[str]:
    return set(re.findall(_LITERAL, choice[2] or choice[3]))


def _in_list(found: re.Match[str]) -> str:
    return f"{found[1]} {'IN' if found[2] == '= ANY' else 'NOT IN'} ({found[3]})"
