"""Full-text search: the same results on both databases, and the best matches first."""

from typing import Any

from sqlalchemy import delete, text, update

from examples.catalogue.db.session import Database
from examples.catalogue.models.item import Item
from examples.catalogue.tests.api import Api
from mscr.testing.api import Account
from mscr.testing.problems import faulty_fields
from mscr.testing.walking import fetch, titles, walk

ITEMS = "/api/v1/items"
MY = f"{ITEMS}/my"
SEARCH = f"{ITEMS}/search"

LONG = "abcdefghij" * 19
TITLES = [
    "Milk",
    "Buttermilk",
    "Café crème",
    "Lodz Łódź",
    "Straße",
    "ÆSIR",
    "Ελληνικά ΟΔΟΣ",
    "Чай Ёлка",
    "O'Hara",
    "and/or",
    "50 % off",
    "snake_case",
    "back\\slash",
    "self-made",
    "a@example.com",
    "3.14",
    "1e5",
    "NEAR NOT",
    "ﬁne \uff37\uff29\uff24\uff25 x²",
    "party 🎉 hat",
    "東京タワー",
    "한국어 단어",
    "สวัสดี",
    LONG,
]

# The words of a search, and the titles that it finds.
FINDINGS: list[tuple[str, set[str]]] = [
    # Case, accents and compatibility forms of letters are ignored, in queries and in titles.
    ("milk", {"Milk"}),
    ("  MILK ", {"Milk"}),
    ("cafe", {"Café crème"}),
    ("CAFÉ", {"Café crème"}),
    ("cafe\u0301", {"Café crème"}),
    ("lodz", {"Lodz Łódź"}),
    ("strasse", {"Straße"}),
    ("STRAẞE", {"Straße"}),
    ("aesir", {"ÆSIR"}),
    ("ελληνικα", {"Ελληνικά ΟΔΟΣ"}),
    ("οδος", {"Ελληνικά ΟΔΟΣ"}),
    ("елка чаи", {"Чай Ёлка"}),
    ("fine wide", {"ﬁne \uff37\uff29\uff24\uff25 x²"}),
    ("x2", {"ﬁne \uff37\uff29\uff24\uff25 x²"}),
    # All words must match, in any order and position; only the last one may be a prefix.
    ("crème café", {"Café crème"}),
    ("milk other", set()),
    ("mil", {"Milk"}),
    ("buttermi", {"Buttermilk"}),
    ("ilk", set()),
    ("crèm café", set()),
    ("fine thing", {"ﬁne \uff37\uff29\uff24\uff25 x²"}),
    # Punctuation only separates words.
    ("o'hara", {"O'Hara"}),
    ("hara", {"O'Hara"}),
    ("o hara", {"O'Hara"}),
    ('"milk"', {"Milk"}),
    ('"milk', {"Milk"}),
    ("or", {"and/or"}),
    ("50%", {"50 % off"}),
    ("case", {"snake_case"}),
    ("k\\s", set()),
    ("back\\slash", {"back\\slash"}),
    ("made", {"self-made"}),
    ("self-made", {"self-made"}),
    ("example", {"a@example.com"}),
    ("a@example.com", {"a@example.com"}),
    ("3.14", {"3.14"}),
    ("14", {"3.14"}),
    ("1e5", {"1e5"}),
    # No word or character acts as an operator of either database.
    ("milk OR buttermilk", set()),
    ("NEAR", {"NEAR NOT"}),
    ("not near", {"NEAR NOT"}),
    ("NEAR(milk buttermilk)", set()),
    ("-milk", {"Milk"}),
    ("!milk", {"Milk"}),
    ("title:milk", set()),
    ("title : milk", set()),
    ("mi*", {"Milk"}),
    ("^milk:*", {"Milk"}),
    ("milk & | ! <-> ()", {"Milk"}),
    ("milk:A", set()),
    ("+milk", {"Milk"}),
    ("{title}", set()),
    ("' OR 1=1 --", set()),
    ("milk'; DROP TABLE items; --", set()),
    ("milk\\", {"Milk"}),
    ("$1 :milk ?", set()),
    # Emoji are ignored. In Chinese and Japanese, each character is a word. Spaces separate others.
    ("🎉 hat", {"party 🎉 hat"}),
    ("東京", {"東京タワー"}),
    ("京", {"東京タワー"}),
    ("タワー", {"東京タワー"}),
    ("한국", {"한국어 단어"}),
    ("단어", {"한국어 단어"}),
    ("국어", set()),
    ("สวัส", {"สวัสดี"}),
    # The first hundred characters of a long word count.
    (LONG, {LONG}),
    (LONG[:99], {LONG}),
    (LONG[:150] + "elsewhere", {LONG}),
    ("milk " * 40, {"Milk"}),
]


async def create_titled(api: Api, owner: Account, *names: str, **values: Any) -> None:
    for name in names:
        await api.create_item(owner, title=name, **values)


async def found(api: Api, viewer: Account, words: str, path: str = SEARCH, **query: Any) -> Any:
    page = await fetch(api, viewer, path, q=words, **query)
    assert page["meta"].get("total", len(page["data"])) == len(page["data"])
    return titles(page)


async def test_a_search_finds_the_same_on_every_database(api: Api) -> None:
    owner = await api.register()
    await api.create_item(owner, title="Unrelated", description="Thing of Milkmaids")
    await create_titled(api, owner, *TITLES, description="thing")

    results = [(words, set(await found(api, owner, words))) for words, _ in FINDINGS]

    # Leave out the item that "mil" finds by its description, which another test covers.
    results = [(words, result - {"Unrelated"}) for words, result in results]
    assert results == FINDINGS


async def test_a_search_without_words_finds_nothing(api: Api) -> None:
    """IN4: and causes no syntax error in the database."""
    owner = await api.register()
    await create_titled(api, owner, "Milk!", "x" * 150)
    for words in ("!", "%", "'\"*", "🎉", "\u0301", "— …", "\u200b"):
        for path in (SEARCH, ITEMS, MY):
            assert await found(api, owner, words, path) == [], (words, path)


async def test_a_search_matches_titles_and_descriptions(api: Api) -> None:
    owner = await api.register()
    await api.create_item(owner, title="Crème", description="for café")
    for words in ("creme", "cafe", "cafe creme", "for cr"):
        assert await found(api, owner, words) == ["Crème"], words


async def test_every_list_of_items_can_be_searched(api: Api) -> None:
    owner = await api.register()
    await create_titled(api, owner, "Milk", "Bread")
    for path in (ITEMS, MY, SEARCH):
        assert await found(api, owner, "milk", path) == ["Milk"]
        assert await found(api, owner, "milk", path, limit=5) == ["Milk"]


async def test_a_search_finds_no_drafts_of_others(api: Api) -> None:
    reader, other = await api.register(), await api.register()
    await create_titled(api, other, "secret draft")
    await create_titled(api, other, "secret page", status="active")

    assert await found(api, reader, "secret") == ["secret page"]
    assert await found(api, reader, "secret", limit=5) == ["secret page"]


async def test_the_best_matches_come_first_and_ties_by_newest(api: Api) -> None:
    owner = await api.register()
    for title, description in (
        ("Shopping", "bread, and milk of oats"),
        ("Milk", "bread"),
        ("milk", "bread"),
        ("Nothing", "of the kind"),
    ):
        await api.create_item(owner, title=title, description=description)

    ranked = await found(api, owner, "milk")
    pages = [titles(await fetch(api, owner, SEARCH, q="milk", per_page=1, page=n)) for n in (1, 3)]

    assert ranked == ["milk", "Milk", "Shopping"]
    assert pages == [["milk"], ["Shopping"]]
    assert await found(api, owner, "milk", sort="-relevance,title") == ["Milk", "milk", "Shopping"]
    assert await found(api, owner, "milk", sort="relevance") == ["Shopping", "Milk", "milk"]
    assert await found(api, owner, "milk", sort="title") == ["Milk", "Shopping", "milk"]


async def test_a_search_by_cursor_comes_newest_first(api: Api) -> None:
    owner = await api.register()
    await create_titled(api, owner, "milk", "other", "Shopping", description="milk of oats")
    await create_titled(api, owner, "Nothing")

    rows = await walk(api, owner, SEARCH, q="milk", limit=1)

    assert [row["title"] for row in rows] == ["Shopping", "other", "milk"]


async def test_a_cursor_by_relevance_is_refused(api: Api) -> None:
    """IN4."""
    owner = await api.register()
    query: dict[str, str | int] = {"q": "milk", "sort": "-relevance", "limit": 5}
    response = await api.client.get(SEARCH, params=query, headers=owner.headers)
    assert response.json()["errors"][0]["type"] == "relevance_by_cursor"
    assert faulty_fields(response) == [["query"]]


async def test_a_search_can_be_walked_by_cursor(api: Api) -> None:
    owner = await api.register()
    await create_titled(api, owner, "milk a", "other", "milk b", "milk c")
    rows = await walk(api, owner, SEARCH, q="milk", limit=1, sort="-title")
    assert [row["title"] for row in rows] == ["milk c", "milk b", "milk a"]


async def test_the_search_index_follows_changes_of_an_item(api: Api) -> None:
    owner = await api.register()
    item = await api.create_item(owner, title="Milk", description="white")
    url = f"{ITEMS}/{item['public_id']}"

    await api.client.patch(url, json={"title": "Bread"}, headers=owner.headers)
    assert [await found(api, owner, w) for w in ("milk", "bread", "white")] == [
        [],
        ["Bread"],
        ["Bread"],
    ]
    await api.client.patch(url, json={"description": None}, headers=owner.headers)
    assert await found(api, owner, "white") == []
    await api.client.delete(url, headers=owner.headers)
    assert await found(api, owner, "bread") == []
    await api.client.post(f"{url}/restore", headers=owner.headers)
    assert await found(api, owner, "bread") == ["Bread"]


async def test_the_search_index_follows_changes_by_plain_sql(api: Api, database: Database) -> None:
    owner = await api.register()
    await create_titled(api, owner, "One", "Two")
    async with database.sessions.begin() as session:
        await session.execute(update(Item).values(title=Item.title + " Größe"))
        await session.execute(text("UPDATE items SET description = 'Öl' WHERE title LIKE 'Two%'"))

    assert await found(api, owner, "grosse", sort="title") == ["One Größe", "Two Größe"]
    assert await found(api, owner, "ol") == ["Two Größe"]

    async with database.sessions.begin() as session:
        await session.execute(delete(Item).where(Item.title.startswith("Two")))

    assert await found(api, owner, "grosse") == ["One Größe"]
