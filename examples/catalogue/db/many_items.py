"""Seed any number of items, of fictitious owners, to test the application at scale.

The database generates the rows itself, which is many times faster than sending them.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from mscr.models.account import UNUSABLE_PASSWORD_HASH

# Rows in one statement, which must end before DATABASE_STATEMENT_TIMEOUT_SECONDS.
BATCH: Final = 10_000
ITEMS_PER_OWNER: Final = 1_000
# The word is in the title of one item in so many, for searches of a rare word.
RARE_WORD, RARE_EVERY = "zeppelin", 50_000
# The first and most frequent of `_THINGS`: about every fourth title has it.
FREQUENT_WORD: Final = "milk"
_VERBS: Final = ("Buy", "Bring", "Order", "Return", "Repair", "Sell", "Find", "Lend", "Paint")
_KINDS: Final = ("fresh", "old", "new", "red", "small", "large", "wooden", "warm", "good", "blue")
# The first words are used far more often than the last ones, a skew as in real data.
_THINGS: Final = (
    *(
        FREQUENT_WORD,
        "bread",
        "lamp",
        "chair",
        "table",
        "bicycle",
        "book",
        "ladder",
        "window",
        "coat",
    ),
    *("kettle", "clock", "carpet", "mirror", "guitar", "camera", "basket", "bottle", "candle"),
)
TAGS: Final = ("home", "work", "garden", "urgent", "later", "school", "travel", "gifts")

# SQL that differs between the two databases. UUIDs are of version 7: they are in the order of their
# time, so that their index stays compact.
_UUID: Final = {
    "postgresql": "overlay(lpad(to_hex({milliseconds}), 12, '0') placing '-' from 9 for 0) || '-7'"
    " || substr(CAST(gen_random_uuid() AS text), 16)",
    "sqlite": "printf('%08x-%04x-7', ({milliseconds}) >> 16, ({milliseconds}) & 65535)"
    " || lower(substr(hex(randomblob(2)), 2) || '-a' || substr(hex(randomblob(2)), 2)"
    " || '-' || hex(randomblob(6)))",
}
_TIME: Final = {
    "postgresql": "timestamptz '2024-01-01 00:00:00+00' + ({seconds}) * interval '1 second'",
    "sqlite": "strftime('%Y-%m-%d %H:%M:%S.000000', '2024-01-01', ({seconds}) || ' seconds')",
}
_FIRST_MILLISECOND: Final = 1_704_067_200_000
_NUMBERS: Final = """
WITH RECURSIVE numbers (n) AS (
    SELECT CAST(:first AS bigint) UNION ALL SELECT n + 1 FROM numbers WHERE n < :last
)
"""
# Seeded owners, in a domain that RFC 2606 reserves.
_IS_SEEDED: Final = "email_key LIKE 'owner-%@seeded.example' AND NOT users.is_deleted"

_COUNT: Final = f"SELECT count(*) FROM items JOIN users ON owner_id = users.id WHERE {_IS_SEEDED}"  # noqa: S608  # all of it stands here
_NEWEST: Final = text("SELECT max(id) FROM items")
_ADD_OWNERS: Final = """
INSERT INTO users (public_id, email, email_key, password_hash)
{numbers}
SELECT {uuid}, 'owner-' || n || '@seeded.example', 'owner-' || n || '@seeded.example', '{nothing}'
FROM numbers WHERE NOT EXISTS (
    SELECT 1 FROM users
    WHERE email_key = 'owner-' || n || '@seeded.example' AND NOT users.is_deleted
)
"""
_ADD_TAGS: Final = """
INSERT INTO tags (public_id, name, name_key, owner_id)
WITH names (i, word) AS (VALUES {tags})
SELECT {uuid_of_tag}, word, word, users.id FROM users CROSS JOIN names
WHERE {is_seeded} AND NOT EXISTS (SELECT 1 FROM tags WHERE owner_id = users.id)
"""
# Pseudo-random numbers from the row's number n. Each has its own modulus, so that they do not
# correlate.
_ADD_ITEMS: Final = """
INSERT INTO items (public_id, title, description, status, owner_id, created_at, updated_at)
{numbers},
chances (n, a, b) AS (SELECT n, n * 7919 % 10007, n * 613 % 997 FROM numbers),
verbs (i, word) AS (VALUES {verbs}),
kinds (i, word) AS (VALUES {kinds}),
things (i, word) AS (VALUES {things})
SELECT
    {uuid},
    verbs.word || ' ' || kinds.word || ' '
        || CASE WHEN n % {rare_every} = 0 THEN '{rare_word}' ELSE things.word END || ' ' || n,
    CASE WHEN n % 3 > 0 THEN 'A ' || kinds.word || ' one for a ' || others.word END,
    CASE WHEN n * 31 % 100 < 92 THEN 'active' WHEN n * 31 % 100 < 97 THEN 'draft'
        ELSE 'archived' END,
    users.id,
    {created_at},
    {updated_at}
FROM chances
JOIN verbs ON verbs.i = n % {count_of_verbs}
JOIN kinds ON kinds.i = a % {count_of_kinds}
JOIN things ON things.i = {count_of_things} * b * b / (997 * 997)
JOIN things AS others ON others.i = a % {count_of_things}
JOIN users ON email_key = 'owner-' || (CAST(:owners AS bigint) * a * a / (10007 * 10007))
    || '@seeded.example' AND NOT users.is_deleted
"""
_ADD_LINKS: Final = """
INSERT INTO item_tags (item_id, tag_id, created_at, public_id)
WITH names (i, word) AS (VALUES {tags})
SELECT items.id, tags.id, items.created_at, items.public_id
FROM items
JOIN users ON users.id = items.owner_id
JOIN tags ON tags.owner_id = items.owner_id AND NOT tags.is_deleted
JOIN names ON names.word = tags.name_key
WHERE items.id BETWEEN :newest + 1 AND :latest AND {is_seeded}
    AND (items.id * 31 + names.i * 17) % 100 < 40 / (names.i + 1)
"""


async def seed_many_items(
    session: AsyncSession, wanted: int, *, on_items: Callable[[int], None]
) -> int:
    """Add items of seeded owners up to this number. Return how many were added.

    Each batch is a transaction, so an interrupted run is continued by the next one. If there are as
    many already, or more, nothing changes.
    """
    there = await session.scalar(text(_COUNT)) or 0
    on_items(min(there, wanted))
    if there >= wanted:
        return 0
    add = _Statements(session.get_bind().dialect.name)
    owners = -(-wanted // ITEMS_PER_OWNER)
    await session.execute(add.owners, {"first": 0, "last": owners - 1})
    await session.execute(add.tags)
    await session.execute(text("ANALYZE"))
    await session.commit()
    for first in range(there, wanted, BATCH):
        last = min(first + BATCH, wanted) - 1
        newest = await session.scalar(_NEWEST) or 0
        await session.execute(add.items, {"first": first, "last": last, "owners": owners})
        # A range with two bounds. With one bound, PostgreSQL would expect a third of all items.
        latest = await session.scalar(_NEWEST)
        await session.execute(add.links, {"newest": newest, "latest": latest})
        await session.commit()
        on_items(last + 1 - first)
    # The plans of lists depend on up-to-date statistics.
    await session.execute(text("ANALYZE"))
    await session.commit()
    return wanted - there


class _Statements:
    """The statements in the dialect of one of the two databases."""

    def __init__(self, dialect: str) -> None:
        time, uuid = _TIME[dialect], _UUID[dialect]
        parts = {
            "numbers": _NUMBERS,
            "uuid": uuid.format(milliseconds=f"{_FIRST_MILLISECOND} + n * 10000"),
            "uuid_of_tag": uuid.format(milliseconds=f"{_FIRST_MILLISECOND} + users.id"),
            "nothing": UNUSABLE_PASSWORD_HASH,
            "is_seeded": _IS_SEEDED,
            "created_at": time.format(seconds="n * 10"),
            # Up to three months later.
            "updated_at": time.format(seconds="n * 10 + n * 7919 % 7776000"),
            "rare_word": RARE_WORD,
            "rare_every": RARE_EVERY,
            **_numbered(tags=TAGS, verbs=_VERBS, kinds=_KINDS, things=_THINGS),
        }
        self.owners = text(_ADD_OWNERS.format(**parts))
        self.tags = text(_ADD_TAGS.format(**parts))
        self.items = text(_ADD_ITEMS.format(**parts))
        self.links = text(_ADD_LINKS.format(**parts))


def _numbered(**lists: Sequence[str]) -> dict[str, Any]:
    """Return each list as rows of VALUES, and its length as `count_of_NAME`."""
    rows = {name: [f"({i}, '{word}')" for i, word in enumerate(lists[name])] for name in lists}
    counts = {f"count_of_{name}": len(words) for name, words in lists.items()}
    return {**counts, **{name: ", ".join(words) for name, words in rows.items()}}
