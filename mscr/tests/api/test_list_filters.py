"""List filters: the meaning of each, alone and combined, and that every declared one works."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest

from examples.catalogue.db.session import Database
from examples.catalogue.main import create_app
from examples.catalogue.models.item import Item
from examples.catalogue.repositories.item_repository import FILTERS
from examples.catalogue.tests.api import Api
from mscr.testing.databases import on_sqlite
from mscr.testing.json_schema import SchemaReader
from mscr.testing.problems import problem
from mscr.testing.table_rows import set_columns
from mscr.testing.walking import fetch, titles, walk

if TYPE_CHECKING:
    from mscr.queries.filters import Filter

ITEMS = "/api/v1/items"
LISTS = (ITEMS, f"{ITEMS}/my", f"{ITEMS}/search")

# title, description, status, and the days of January on which it was created and updated
ROWS = [
    ("Apple", "sweet thing", "draft", 1, 8),
    ("Apricot", None, "active", 2, 7),
    ("apple", "", "archived", 3, 6),
    ("A%le", "thing", "active", 4, 5),
]
FILTERED: list[tuple[dict[str, Any], str]] = [
    ({}, "Apple Apricot apple A%le"),
    ({"status": "draft"}, "Apple"),
    ({"status": ["draft", "archived"]}, "Apple apple"),
    ({"status": ["draft", "draft"]}, "Apple"),
    ({"created_at_gte": "2026-01-02T00:00:00Z"}, "Apricot apple A%le"),
    ({"created_at_gte": "2026-01-02T01:00:00+01:00"}, "Apricot apple A%le"),
    ({"created_at_gte": "2026-01-02T00:00:00.000001Z"}, "apple A%le"),
    ({"created_at_lte": "2026-01-02T00:00:00Z"}, "Apple Apricot"),
    ({"updated_at_gte": "2026-01-06T00:00:00Z", "updated_at_lte": "2026-01-07T00:00:00Z"}, "Ap ap"),
    ({"title_prefix": "Ap"}, "Apple Apricot"),
    ({"title_prefix": "ap"}, "apple"),
    ({"title_prefix": "A%"}, "A%le"),
    ({"title_prefix": "A_"}, ""),
    ({"title_prefix": "pp"}, ""),
    ({"title_prefix": "Apple pie"}, ""),
    ({"description_null": "true"}, "Apricot"),
    ({"description_null": "false"}, "Apple apple A%le"),
    ({"q": "thing"}, "Apple A%le"),
    ({"q": "thing", "status": "active", "title_prefix": "A"}, "A%le"),
    ({"status": "active", "created_at_lte": "2026-01-03T00:00:00Z"}, "Apricot"),
]


async def test_each_filter_narrows_the_list_by_page_and_by_cursor(
    api: Api, database: Database
) -> None:
    owner, other = await api.register(), await api.register()
    await api.create_item(other, title="Apple of another")
    for title, description, status, created, updated in ROWS:
        item = await api.create_item(owner, title=title, description=description, status=status)
        times = {
            "created_at": datetime(2026, 1, created, tzinfo=UTC),
            "updated_at": datetime(2026, 1, updated, tzinfo=UTC),
        }
        await set_columns(database, Item, item["public_id"], **times)

    for path in LISTS[:2]:
        for query, expected in FILTERED:
            wanted = ["Apricot", "apple"] if expected == "Ap ap" else expected.split()
            page = await fetch(api, owner, path, sort="created_at", **query)
            walked = await walk(api, owner, path, sort="created_at", limit=1, **query)
            assert (titles(page), page["meta"]["total"]) == (wanted, len(wanted)), (path, query)
            assert [row["title"] for row in walked] == wanted, (path, query)


@on_sqlite
async def test_an_unescaped_plus_is_named_in_the_error(api: Api) -> None:
    owner = await api.register()
    sent = "created_at_gte=2026-01-02T00:00:00+01:00"

    response = await api.client.get(f"{ITEMS}?{sent}", headers=owner.headers)

    [fault] = problem(response, 422, "validation_failed")["errors"]
    assert (fault["loc"], "%2B" in fault["msg"]) == (["query", "created_at_gte"], True)


async def test_a_search_is_filtered_too(api: Api) -> None:
    owner = await api.register()
    await api.create_item(owner, title="Thing A", status="active")
    await api.create_item(owner, title="Thing B", status="draft")
    for query in ({}, {"sort": "title"}, {"limit": 5}):
        page = await fetch(api, owner, LISTS[2], q="thing", status="draft", **query)
        assert titles(page) == ["Thing B"]


async def test_users_are_filtered_by_creation_time(api: Api) -> None:
    admin = await api.register_admin()
    users = "/api/v1/users"
    assert (await fetch(api, admin, users, created_at_gte="2026-01-01T00:00:00Z"))["data"] != []
    assert (await fetch(api, admin, users, created_at_lte="2026-01-01T00:00:00Z"))["data"] == []


PAGING = {"page", "per_page", "cursor", "limit", "sort"}


def lists() -> list[tuple[str, dict[str, Any]]]:
    """Return each documented list with a valid value for each of its own parameters."""
    schema = create_app().openapi()
    reader = SchemaReader(schema)
    found = []
    for path, operations in schema["paths"].items():
        parameters = operations.get("get", {}).get("parameters", [])
        # Optional parameters may be null; take the other type.
        values = {p["name"]: p["schema"].get("anyOf", [p["schema"]])[0] for p in parameters}
        if values.keys() >= PAGING:
            own = {name: reader.example(values[name], name) for name in values.keys() - PAGING}
            found.append((path, own))
    return found


@on_sqlite
async def test_every_documented_filter_of_every_list_is_accepted(api: Api) -> None:
    """New lists and filters are covered automatically."""
    admin = await api.register_admin()
    documented = lists()
    assert {"/api/v1/items", "/api/v1/users", "/api/v1/audit-events"} <= {p for p, _ in documented}
    for path, examples in documented:
        needed: dict[str, Any] = {"q": "thing"} if path.endswith("/search") else {}
        for name, value in examples.items():
            response = await api.client.get(
                path, params={**needed, name: value}, headers=admin.headers
            )
            assert response.status_code == 200, (path, name, response.text)


@on_sqlite
async def test_every_documented_sort_of_every_list_is_accepted(api: Api) -> None:
    admin = await api.register_admin()
    for path, operations in create_app().openapi()["paths"].items():
        for parameter in operations.get("get", {}).get("parameters", []):
            if parameter["name"] != "sort":
                continue
            columns = parameter["schema"]["pattern"].split("(")[1].split(")")[0].split("|")
            needed = {"q": "thing"} if path.endswith("/search") else {}
            for column in columns:
                sort = f"-{column},{columns[0]}"
                response = await api.client.get(
                    path, params={"sort": sort, **needed}, headers=admin.headers
                )
                assert response.status_code == 200, (path, column, response.text)


@pytest.mark.parametrize("sent", [{}, {"status": "draft"}])
async def test_a_field_without_a_filter_is_an_error_and_not_ignored(
    api: Api, monkeypatch: pytest.MonkeyPatch, sent: dict[str, str]
) -> None:
    monkeypatch.delitem(cast("dict[str, Filter]", FILTERS), "status")
    owner = await api.register()
    response = await api.client.get(ITEMS, params=sent, headers=owner.headers)
    assert response.status_code == 500
