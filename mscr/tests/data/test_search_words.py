"""Folding of search words: PostgreSQL and Python agree on all characters."""

import random
import unicodedata

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from mscr.db.search_words import MAX_WORD_LENGTH, search_words
from mscr.testing.databases import on_postgresql

CHARACTERS = [
    character
    for character in map(chr, range(1, 0x110000))
    if unicodedata.category(character) not in {"Cs", "Cn", "Co"}
]
# Typical characters, so that neighbouring letters, accents and cases meet.
LIVELY = "aAbZz09éÉßẞÆœØłıIİςΣά\u0301\u0308\u0345йЙёд東がﬁ½²ｗＷ '\"-_.:*&|!()\\\t\n\u00a0\u200b🎉"  # noqa: RUF001


def texts() -> list[str]:
    rounds = random.Random(7)  # noqa: S311  # the same texts each time
    in_turn = ["".join(CHARACTERS[at : at + 150]) for at in range(0, len(CHARACTERS), 150)]
    mixed = ["".join(rounds.choices(LIVELY, k=rounds.randrange(80))) for _ in range(1500)]
    apart = [f"a{character}b" for character in CHARACTERS[:0x3100]]
    return [*in_turn, *mixed, *apart, "x" * 250 + " y", "É" * 5000, "", " "]


@on_postgresql
async def test_postgresql_folds_words_as_python_does(session: AsyncSession) -> None:
    asked = texts()
    statement = text(
        "SELECT search_words(value) FROM unnest(CAST(:texts AS text[]))"
        " WITH ORDINALITY AS asked (value, place) ORDER BY place"
    )
    answered = (await session.scalars(statement, {"texts": asked})).all()

    assert [(a, b) for a, b in zip(asked, answered, strict=True) if search_words(a) != b] == []


def test_folding_is_idempotent() -> None:
    assert [t for t in texts() if search_words(search_words(t)) != search_words(t)] == []


def test_words_are_separated_by_one_space_and_none_is_too_long() -> None:
    for folded in map(search_words, texts()):
        assert folded == " ".join(folded.split())
        assert all(len(word) <= MAX_WORD_LENGTH for word in folded.split())
