"""Walking a list from cursor to cursor."""

from typing import Any

from tests.support.api import Account, Api

MAX_PAGES = 100


async def fetch(api: Api, viewer: Account, path: str, **query: Any) -> dict[str, Any]:
    """One page of a list: the whole envelope."""
    response = await api.client.get(path, params=query, headers=viewer.headers)
    assert response.status_code == 200, response.text
    page: dict[str, Any] = response.json()
    return page


async def walk(api: Api, viewer: Account, path: str, **query: Any) -> list[dict[str, Any]]:
    """The rows of all pages, in the order in which they came."""
    rows: list[dict[str, Any]] = []
    cursor = ""
    for _ in range(MAX_PAGES):
        page = await fetch(api, viewer, path, cursor=cursor, **query)
        rows += page["data"]
        cursor = page["meta"]["next_cursor"]
        if cursor is None:
            return rows
    raise AssertionError(f"the list has no end: {len(rows)} rows so far")


def titles(page: dict[str, Any]) -> list[str]:
    """Of the items on a page."""
    return [row["title"] for row in page["data"]]
