"""Split a text into words for full-text search, the same way for rows and for queries.

Warning: a change here needs a migration that changes PostgreSQL's function `search_words` likewise,
and rebuilds the index. PostgreSQL uses its own function, which a migration creates; SQLite calls
this one.
"""

import re
import unicodedata
from typing import Final

# Longer words are truncated: indexes limit the length of a word.
MAX_WORD_LENGTH: Final = 100

_ACCENTS: Final = re.compile("[\u0300-\u036f]+")
# Chinese and Japanese have no separators between words: each character counts as a word.
_IDEOGRAPHS: Final = re.compile(
    "([\u3005-\u3007\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])"
)
# Controls, spaces, punctuation, symbols and emoji, as ranges. A class such as \w depends on the
# locale in PostgreSQL, and on the version of Unicode everywhere.
_SEPARATORS: Final = re.compile(
    "[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u00d7\u00f7\u02b9-\u02ff\u055a-\u055f"
    "\u0589-\u058f\u05be\u05c0\u05c3\u05c6\u05f3\u05f4\u0606-\u060f\u061b-\u061f\u066a-\u066d"
    "\u06d4\u0964\u0965\u0e4f\u0e5a\u0e5b\u1680\u2000-\u2bff\u2e00-\u2e7f\u2ff0-\u3004\u3008-\u3030"
    "\u303d-\u3040\u30a0\u30fb\ue000-\uf8ff\ufe00-\ufe6f\ufeff\uff00-\uff20\uff3b-\uff40"
    "\uff5b-\uff65\uffe0-\uffff\U0001f000-\U0001faff\U000e0000-\U0010ffff]+"
)
# The capitals of Latin, Greek, Cyrillic and Armenian; other alphabets hardly have any.
_CAPITALS: Final = {
    letter: letter.lower() for letter in map(chr, range(0x41, 0x590)) if letter.lower() != letter
}
# Letters that Unicode does not decompose into a base and an accent. Many people type the base.
_PLAIN: Final = {
    **dict.fromkeys("ĐđÐð", "d"),
    **dict.fromkeys("Øø", "o"),
    **dict.fromkeys("Łł", "l"),
    **dict.fromkeys("Ææ", "ae"),
    **dict.fromkeys("Œœ", "oe"),
    **dict.fromkeys("ẞß", "ss"),
    "\u0131": "i",  # without a dot
    "\u03c2": "\u03c3",  # sigma at the end of a word
}
_FOLDED: Final = str.maketrans(_CAPITALS | _PLAIN)


def search_words(text: str) -> str:
    """Return the words of a text, folded for comparison (case, accents), separated by spaces."""
    bare = _ACCENTS.sub("", unicodedata.normalize("NFKD", text))
    folded = unicodedata.normalize("NFC", bare).translate(_FOLDED)
    spaced = _SEPARATORS.sub(" ", _IDEOGRAPHS.sub(r" \1 ", folded))
    return " ".join(word[:MAX_WORD_LENGTH] for word in spaced.split(" ") if word)
