r"""Search of items

On PostgreSQL a generated column with a GIN index, on SQLite an FTS5 table, kept by triggers. Both
take words as `search_words()` of `mscr/db/search_words.py` does.

Revision ID: 0002
Revises: 0001
Created: 2026-12-01 02:35:12.518204+00:00
"""

import unicodedata
from collections.abc import Sequence

from alembic import op

revision: str = "0002"
down_revision: str | Sequence[str] | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_FIRST_RELEASE = "comes with the table, which has no rows yet"
lock_exemptions = {
    "adding-field-with-default": _FIRST_RELEASE,
    "require-concurrent-index-creation": _FIRST_RELEASE,
}

# Functions of PostgreSQL that depend on the locale are avoided: all databases have equal words.
_CAPITALS = "".join(
    letter
    for letter in map(chr, range(0x80, 0x590))
    if letter != letter.lower() and unicodedata.normalize("NFKD", letter) == letter
)
_SMALL = "".join(letter.lower() for letter in _CAPITALS)
_PLAIN = (
    (0xE6, "ae"),
    (0x153, "oe"),
    (0xDF, "ss"),
    (0x1E9E, "ss"),
    (0x111, "d"),
    (0xF0, "d"),
    (0xF8, "o"),
    (0x142, "l"),
    (0x131, "i"),
    (0x3C2, "\u03c3"),
)
_IDEOGRAPHS = r"([\u3005-\u3007\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])"
_SEPARATORS = (
    r"[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u00d7\u00f7\u02b9-\u02ff\u055a-\u055f"
    r"\u0589-\u058f\u05be\u05c0\u05c3\u05c6\u05f3\u05f4\u0606-\u060f\u061b-\u061f\u066a-\u066d"
    r"\u06d4\u0964\u0965\u0e4f\u0e5a\u0e5b\u1680\u2000-\u2bff\u2e00-\u2e7f\u2ff0-\u3004\u3008-\u3030"
    r"\u303d-\u3040\u30a0\u30fb\ue000-\uf8ff\ufe00-\ufe6f\ufeff\uff00-\uff20\uff3b-\uff40"
    r"\uff5b-\uff65\uffe0-\uffff\U0001f000-\U0001faff\U000e0000-\U0010ffff]+"
)


def _folded(text: str) -> str:
    """Return the SQL for texts that are not only ASCII."""
    bare = rf"regexp_replace(normalize({text}, NFKD), '[\u0300-\u036f]+', '', 'g')"
    small = f"""lower(normalize({bare}, NFC) COLLATE "C")"""
    folded = f"translate({small}, '{_CAPITALS}', '{_SMALL}')"
    for letter, plain in _PLAIN:
        folded = f"replace({folded}, '{chr(letter)}', '{plain}')"
    spaced = rf"regexp_replace({folded}, '{_IDEOGRAPHS}', ' \1 ', 'g')"
    return f"regexp_replace({spaced}, '{_SEPARATORS}', ' ', 'g')"


_SEARCH_WORDS = rf"""
CREATE FUNCTION search_words(value text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN btrim(regexp_replace(
    CASE WHEN octet_length(value) = char_length(value)
        THEN regexp_replace(lower(value COLLATE "C"), '[^a-z0-9]+', ' ', 'g')
        ELSE {_folded("value")}
    END,
    '([^ ]{{100}})[^ ]+', '\1', 'g'
))
"""

# Vectors are written out: a text parser would find email addresses and decimal numbers.
_WEIGHED_WORDS = """
CREATE FUNCTION weighed_words(value text, weight text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (
    SELECT string_agg(concat(word, chr(58), least(place, 16383), weight), ' ')
    FROM unnest(string_to_array(search_words(value), ' ')) WITH ORDINALITY AS words (word, place)
    WHERE word <> ''
)
"""

_SEARCH_VECTOR = """
ALTER TABLE items ADD COLUMN search_vector tsvector GENERATED ALWAYS AS (
    CAST(coalesce(weighed_words(title, 'A'), '') AS tsvector)
    || CAST(coalesce(weighed_words(description, 'D'), '') AS tsvector)
) STORED
"""

_POSTGRESQL = (
    _SEARCH_WORDS,
    _WEIGHED_WORDS,
    _SEARCH_VECTOR,
    "CREATE INDEX ix_items_search_vector ON items USING gin (search_vector)",
)

_SQLITE = (
    # The words are folded already, so splitting at ASCII separators is enough.
    "CREATE VIRTUAL TABLE items_search USING fts5(title, description, tokenize = 'ascii')",
    """
    CREATE TRIGGER items_search_insert AFTER INSERT ON items BEGIN
        INSERT INTO items_search (rowid, title, description)
        VALUES (new.id, search_words(new.title), search_words(coalesce(new.description, '')));
    END
    """,
    """
    CREATE TRIGGER items_search_update AFTER UPDATE OF id, title, description ON items BEGIN
        DELETE FROM items_search WHERE rowid = old.id;
        INSERT INTO items_search (rowid, title, description)
        VALUES (new.id, search_words(new.title), search_words(coalesce(new.description, '')));
    END
    """,
    """
    CREATE TRIGGER items_search_delete AFTER DELETE ON items BEGIN
        DELETE FROM items_search WHERE rowid = old.id;
    END
    """,
    """
    INSERT INTO items_search (rowid, title, description)
    SELECT id, search_words(title), search_words(coalesce(description, '')) FROM items
    """,
)


def upgrade() -> None:
    sqlite = op.get_context().dialect.name == "sqlite"
    for statement in _SQLITE if sqlite else _POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        for event in ("insert", "update", "delete"):
            op.execute(f"DROP TRIGGER items_search_{event}")
        op.execute("DROP TABLE items_search")
    else:
        op.drop_index("ix_items_search_vector", "items")
        op.drop_column("items", "search_vector")
        op.execute("DROP FUNCTION weighed_words(text, text)")
        op.execute("DROP FUNCTION search_words(text)")
