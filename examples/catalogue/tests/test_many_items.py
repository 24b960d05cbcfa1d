"""Many items at once: bulk requests, imports and exports."""

import csv
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from examples.catalogue.core.permissions import allows
from examples.catalogue.db.session import Database
from examples.catalogue.models import User
from examples.catalogue.tests.api import Api
from mscr.core.security.jwt import TokenClaims
from mscr.core.security.principal import Principal
from mscr.endpoints.callers import get_principal
from mscr.testing.databases import on_postgresql
from mscr.testing.problems import problem
from mscr.testing.table_rows import all_rows

CSV = {"Content-Type": "text/csv"}


async def test_each_row_of_a_bulk_request_succeeds_or_fails_by_itself(api: Api) -> None:
    owner = await api.register()
    rows = [{"title": "Hammer"}, {"title": ""}, {"title": "Saw"}]

    response = await api.client.post(
        "/api/v1/items/bulk", json={"rows": rows}, headers=owner.headers
    )

    assert [row["status"] for row in response.json()["data"]["rows"]] == [201, 422, 201]
    assert await api.titles("/my?sort=title", owner) == ["Hammer", "Saw"]


async def test_an_atomic_bulk_request_with_a_bad_row_writes_none(api: Api) -> None:
    owner = await api.register()
    rows = [{"title": "Hammer"}, {"title": ""}]

    response = await api.client.post(
        "/api/v1/items/bulk?atomic=true", json={"rows": rows}, headers=owner.headers
    )

    problem(response, 422, "validation_failed")
    assert await api.titles("/my", owner) == []


async def test_bulk_requests_change_and_delete_the_callers_rows_only(api: Api) -> None:
    owner, other = await api.register(), await api.register()
    items = [await api.create_item(owner), await api.create_item(other)]
    rows = [{"public_id": item["public_id"]} for item in items]

    changed = await api.client.patch(
        "/api/v1/items/bulk",
        json={"rows": [{**row, "title": "New"} for row in rows]},
        headers=owner.headers,
    )
    deleted = await api.client.post(
        "/api/v1/items/bulk-delete", json={"rows": rows}, headers=owner.headers
    )

    assert [row["status"] for row in changed.json()["data"]["rows"]] == [200, 404]
    assert [row["status"] for row in deleted.json()["data"]["rows"]] == [204, 404]
    assert await api.titles("/my", other) == ["A thing"]


async def test_an_exported_file_can_be_imported(api: Api) -> None:
    owner, other = await api.register(), await api.register()
    await api.create_item(owner, title="Hammer", description="=SUM(1)")
    await api.create_item(owner, title="Saw")
    export = "/api/v1/items/export?format=csv"

    exported = await api.client.get(export, headers=owner.headers)
    imported = await api.client.post(
        "/api/v1/items/import", content=exported.content, headers=other.headers | CSV
    )

    rows = list(csv.DictReader(exported.text.splitlines()))
    assert [(row["title"], row["description"]) for row in rows] == [
        ("Saw", ""),
        ("Hammer", "'=SUM(1)"),
    ]
    assert imported.json()["data"] == {"rows": 2, "dry_run": False}
    assert await api.titles("/my?sort=title", other) == ["Hammer", "Saw"]


async def test_a_file_with_a_bad_line_creates_nothing(api: Api) -> None:
    owner = await api.register()
    file = "".join(json.dumps({"title": title}) + "\n" for title in ("Hammer", ""))

    response = await api.client.post(
        "/api/v1/items/import/ndjson",
        content=file,
        headers={**owner.headers, "Content-Type": "application/x-ndjson"},
    )

    refused = problem(response, 422, "file_refused")
    assert refused["errors"][0]["loc"] == ["body", 2, "title"]
    assert await api.titles("/my", owner) == []


async def test_a_dry_run_reports_the_rows_and_creates_none(api: Api) -> None:
    owner = await api.register()

    response = await api.client.post(
        "/api/v1/items/import?dry_run=true",
        content="title,status\nHammer,active\n",
        headers=owner.headers | CSV,
    )

    assert response.json()["data"] == {"rows": 1, "dry_run": True}
    assert await api.titles("/my", owner) == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("bulk", {"json": {"rows": [{"title": "A thing", "status": "active"}]}}),
        ("import", {"content": "title\r\nA thing\r\n", "headers": CSV}),
    ],
    ids=["bulk", "import"],
)
async def test_nothing_is_created_for_a_concurrently_deleted_account(
    api: Api, app: FastAPI, database: Database, path: str, body: dict[str, Any]
) -> None:
    """AZ5."""
    account = await api.register()
    await api.delete_account(account)
    async with database.read_sessions() as session:
        user = (await session.scalars(select(User).filter_by(public_id=account.public_id))).one()
    unknown = dict.fromkeys(("iss", "aud", "sid", "jti"), "")
    claims = TokenClaims(**unknown, sub=account.public_id, iat=0, exp=0)
    # As if the request had been authenticated before the deletion.
    principal = Principal(claims, user.id, user, datetime.now(UTC), allows)
    app.dependency_overrides[get_principal] = lambda: principal

    response = await api.client.post(f"/api/v1/items/{path}", **body)

    problem(response, 401, "unauthorized")
    assert (await all_rows(database))["items"] == []


@on_postgresql
async def test_a_sequence_behind_its_table_is_a_server_fault(api: Api, database: Database) -> None:
    """ER1: each row is written alone then, and none of them can be."""
    owner = await api.register()
    await api.create_item(owner)
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql("SELECT setval('items_id_seq', 1, false)")
    many = {"rows": [{"title": "x"}, {"title": "x"}]}

    response = await api.client.post("/api/v1/items/bulk", json=many, headers=owner.headers)

    problem(response, 500, "internal_error")
