"""What is deleted is gone for everybody, though its row is still there."""

from datetime import UTC, datetime
from typing import Any

from app.db.session import Database
from app.models import User
from tests.support.api import Account, Api
from tests.support.problems import problem
from tests.support.table_rows import all_rows, set_columns
from tests.support.walking import fetch, walk

LISTS: list[tuple[str, dict[str, Any]]] = [
    ("/api/v1/items", {}),
    ("/api/v1/items/my", {}),
    ("/api/v1/items/search", {"q": "thing"}),
    ("/api/v1/items", {"status": "active"}),
]
DELETED = {"is_deleted": True, "deleted_at": datetime.now(UTC)}


async def test_a_deleted_item_is_neither_listed_nor_counted(api: Api) -> None:
    """AZ5."""
    owner = await api.register()
    kept = await api.create_item(owner, status="active")
    deleted = await api.create_item(owner, status="active")
    await api.client.delete(f"/api/v1/items/{deleted['public_id']}", headers=owner.headers)

    for path, query in LISTS:
        page = await fetch(api, owner, path, **query)
        assert (page["data"], page["meta"]["total"]) == ([kept], 1), path
        assert await walk(api, owner, path, **query, limit=1) == [kept], path


async def test_a_deleted_item_is_not_found_by_its_owner_nor_by_an_administrator(api: Api) -> None:
    """AZ5."""
    owner, admin = await api.register(), await api.register_admin()
    url = f"/api/v1/items/{(await api.create_item(owner))['public_id']}"
    await api.client.delete(url, headers=owner.headers)

    for caller in (owner, admin):
        problem(await api.client.get(url, headers=caller.headers), 404, "not_found")
        change = await api.client.patch(url, json={"title": "A"}, headers=caller.headers)
        problem(change, 404, "not_found")
        problem(await api.client.delete(url, headers=caller.headers), 404, "not_found")


async def test_a_deleted_user_is_neither_listed_nor_counted(api: Api, database: Database) -> None:
    """AZ5."""
    admin, user, gone = await api.register_admin(), await api.register(), await api.register()
    await set_columns(database, User, gone.public_id, **DELETED)

    everybody = {user.public_id, admin.public_id}
    queries: list[tuple[dict[str, str], set[str]]] = [
        ({}, everybody),
        ({"is_active": "true"}, everybody),
        ({"role": "user"}, {user.public_id}),
    ]
    for query, living in queries:
        page = await fetch(api, admin, "/api/v1/users", **query)
        assert {row["public_id"] for row in page["data"]} == living
        assert page["meta"]["total"] == len(living)


async def test_a_deleted_user_cannot_log_in(api: Api, database: Database) -> None:
    """AZ5."""
    gone = await api.register()
    await set_columns(database, User, gone.public_id, **DELETED)

    problem(await api.try_login(gone.email, gone.password), 401, "invalid_credentials")


async def test_a_deleted_user_has_no_session_left(api: Api, database: Database) -> None:
    """AZ5."""
    gone = await api.register()
    await set_columns(database, User, gone.public_id, **DELETED)

    problem(await api.me(gone.access_token), 401, "unauthorized")
    problem(await api.refresh(gone.refresh_token), 401, "invalid_refresh_token")


async def test_a_deleted_user_has_no_profile_and_cannot_be_activated(
    api: Api, database: Database
) -> None:
    """AZ5."""
    admin, gone = await api.register_admin(), await api.register()
    await set_columns(database, User, gone.public_id, **DELETED)
    url = f"/api/v1/users/{gone.public_id}"

    problem(await api.client.get(url, headers=admin.headers), 404, "not_found")
    for action in ("activate", "deactivate"):
        response = await api.client.post(f"{url}/{action}", headers=admin.headers)
        problem(response, 404, "not_found")


async def delete_account(api: Api, account: Account) -> None:
    response = await api.client.request(
        "DELETE", "/api/v1/users/me", json={"password": account.password}, headers=account.headers
    )
    assert response.status_code == 204, response.text


async def test_the_items_of_a_deleted_account_are_gone_with_it(api: Api) -> None:
    """AZ5."""
    leaver, reader = await api.register(), await api.register()
    await api.create_item(leaver, status="active")
    await delete_account(api, leaver)

    page = await fetch(api, reader, "/api/v1/items")

    assert (page["data"], page["meta"]["total"]) == ([], 0)


async def test_what_a_deleted_account_said_about_a_person_is_gone(
    api: Api, database: Database
) -> None:
    leaver = await api.register("leaver@example.com")
    await api.client.patch(
        "/api/v1/users/me", json={"full_name": "Lea Ver"}, headers=leaver.headers
    )
    await delete_account(api, leaver)

    kept = str(await all_rows(database)).lower()
    assert leaver.public_id in kept
    assert "leaver" not in kept
    assert "lea ver" not in kept
