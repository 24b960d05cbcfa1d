"""Permissions: objects of other owners, and roles. `test_routes.py` checks every route."""

from typing import Any

from httpx2 import Response

from examples.catalogue.db.session import Database
from examples.catalogue.models.user import User, UserRole
from examples.catalogue.tests.api import Api
from mscr.testing.api import Account
from mscr.testing.problems import problem
from mscr.testing.routes import random_id
from mscr.testing.table_rows import all_rows, rows_but_the_audit_log, set_columns

ITEM_VERBS = [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/restore")]


async def on_item(api: Api, caller: Account, verb: tuple[str, str], public_id: str) -> Response:
    method, suffix = verb
    body: dict[str, Any] = {"json": {"title": "Mine now"}} if method == "PATCH" else {}
    path = f"/api/v1/items/{public_id}{suffix}"
    return await api.client.request(method, path, headers=caller.headers, **body)


def without_request_id(response: Response) -> dict[str, Any]:
    body = problem(response, 404, "not_found")
    return {name: body[name] for name in body.keys() - {"request_id", "instance"}}


async def test_a_draft_of_another_owner_is_404_like_an_absent_item(api: Api) -> None:
    """AZ2."""
    owner, stranger = await api.register(), await api.register()
    draft = await api.create_item(owner)

    for verb in ITEM_VERBS:
        present = await on_item(api, stranger, verb, draft["public_id"])
        absent = await on_item(api, stranger, verb, random_id())
        assert without_request_id(present) == without_request_id(absent), verb
        assert present.headers.keys() == absent.headers.keys(), verb


async def test_a_published_item_of_another_owner_is_404_for_writes(api: Api) -> None:
    """AZ2."""
    owner, stranger = await api.register(), await api.register()
    item = await api.create_item(owner, status="active")

    for verb in ITEM_VERBS[1:]:
        refused = await on_item(api, stranger, verb, item["public_id"])
        absent = await on_item(api, stranger, verb, random_id())
        assert without_request_id(refused) == without_request_id(absent), verb

    seen = await on_item(api, owner, ITEM_VERBS[0], item["public_id"])
    assert seen.json()["data"] == item


async def test_a_deleted_item_of_another_owner_is_404_like_an_absent_item(api: Api) -> None:
    """AZ2."""
    owner, stranger = await api.register(), await api.register()
    item = await api.create_item(owner, status="active")
    await on_item(api, owner, ("DELETE", ""), item["public_id"])

    for verb in ITEM_VERBS:
        deleted = await on_item(api, stranger, verb, item["public_id"])
        absent = await on_item(api, stranger, verb, random_id())
        assert without_request_id(deleted) == without_request_id(absent), verb


async def test_refused_requests_of_a_stranger_change_nothing(api: Api, database: Database) -> None:
    """AZ2."""
    owner, stranger = await api.register(), await api.register()
    item = await api.create_item(owner, status="active")
    before = await all_rows(database)

    for verb in ITEM_VERBS:
        await on_item(api, stranger, verb, item["public_id"])

    assert await all_rows(database) == before


async def test_a_user_cannot_activate_or_deactivate_accounts(api: Api, database: Database) -> None:
    """AZ1."""
    user, victim = await api.register(), await api.register()
    before = await rows_but_the_audit_log(database)

    for path in ("deactivate", "activate"):
        url = f"/api/v1/users/{victim.public_id}/{path}"
        problem(await api.client.post(url, headers=user.headers), 403, "forbidden")

    assert await rows_but_the_audit_log(database) == before


async def test_an_administrator_loses_the_right_with_the_role(api: Api, database: Database) -> None:
    """AZ1: the role is read from the database, not from the token."""
    admin = await api.register_admin()
    await api.client.get("/api/v1/users", headers=admin.headers)
    await set_columns(database, User, admin.public_id, role=UserRole.USER)

    problem(await api.client.get("/api/v1/users", headers=admin.headers), 403, "forbidden")


async def test_a_body_on_a_route_without_one_changes_nothing(api: Api, database: Database) -> None:
    """AZ4."""
    admin = await api.register_admin()
    item = await api.create_item(admin)
    before = await rows_but_the_audit_log(database)

    for path in (f"items/{item['public_id']}/restore", f"users/{admin.public_id}/activate"):
        body = {"status": "active", "role": "user", "is_active": False, "owner_id": 1}
        response = await api.client.post(f"/api/v1/{path}", json=body, headers=admin.headers)
        assert response.status_code == 200

    assert await rows_but_the_audit_log(database) == before
