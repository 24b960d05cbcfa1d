"""Keyset pagination in tests: follow the cursors of a list."""

from typing import Any

from mscr.testing.api import Account, Api

MAX_PAGES = 100


async def fetch(api: Api, viewer: Account, path: str, **query: Any) -> dict[str, Any]:
    """Return one page of a list, with its envelope."""
    response = await api.client.get(path, params=query, headers=viewer.headers)
    assert response.status_code == 200, response.text
    page: dict[str, Any] = response.json()
    return page


async def walk(api: Api, viewer: Account, path: str, **query: Any) -> list[dict[str, Any]]:
    """Return the rows of all pages, in order."""
    rows: list[dict[str, Any]] = []
    cursor: str | None = ""
    pages = 0
    while cursor is not None:
        page = await fetch(api, viewer, path, cursor=cursor, **query)
        rows += page["data"]
        cursor = page["meta"]["next_cursor"]
        pages += 1
        assert pages <= MAX_PAGES, f"the list has no end: {len(rows)} rows so far"
    return rows


def titles(page: dict[str, Any]) -> list[str]:
    """Return the titles of the items on a page."""
    return [row["title"] for row in page["data"]]
