"""Soft-deleted rows are absent for every caller, though still in the database."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI

from examples.catalogue.db.session import Database
from examples.catalogue.models.base import Base
from examples.catalogue.models.user import User
from examples.catalogue.repositories.item_repository import ItemRepository
from examples.catalogue.repositories.user_repository import UserRepository
from examples.catalogue.tests.api import Api
from mscr.endpoints.database import DbSession
from mscr.models.base import utcnow
from mscr.repositories.deleted_row_repository import DeletedRowRepository, soft_deleting_tables
from mscr.testing.api import Account
from mscr.testing.databases import on_postgresql
from mscr.testing.problems import problem
from mscr.testing.table_rows import all_rows, set_columns
from mscr.testing.waiting import connection_to, is_waiting, until
from mscr.testing.walking import fetch, walk

LISTS: list[tuple[str, dict[str, Any]]] = [
    ("/api/v1/items", {}),
    ("/api/v1/items/my", {}),
    ("/api/v1/items/search", {"q": "thing"}),
    ("/api/v1/items", {"status": "active"}),
]
DELETED_ITEMS = "/api/v1/items/deleted"
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


async def test_a_deleted_user_has_no_sessions_left(api: Api, database: Database) -> None:
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


async def test_the_items_of_a_deleted_account_are_deleted_with_it(api: Api) -> None:
    """AZ5."""
    leaver, reader = await api.register(), await api.register()
    await api.create_item(leaver, status="active")
    await delete_account(api, leaver)

    page = await fetch(api, reader, "/api/v1/items")

    assert (page["data"], page["meta"]["total"]) == ([], 0)


# --- restoring


async def delete_item(api: Api, caller: Account, item: dict[str, Any]) -> None:
    await api.client.delete(f"/api/v1/items/{item['public_id']}", headers=caller.headers)


async def deleted_titles(api: Api, caller: Account, **query: Any) -> list[str]:
    return [row["title"] for row in await walk(api, caller, DELETED_ITEMS, **query)]


async def test_deleted_items_are_listed_only_for_callers_who_may_restore_them(
    api: Api,
) -> None:
    """AZ2, AZ5: last deleted first, without the items of a deleted account."""
    owner, other, leaver = [await api.register() for _ in range(3)]
    admin = await api.register_admin()
    for account, title in ((owner, "B"), (owner, "A"), (other, "C"), (leaver, "D")):
        item = await api.create_item(account, title=title, status="active")
        await delete_item(api, account, item)
    await api.create_item(owner, title="living")
    await delete_account(api, leaver)

    assert await deleted_titles(api, owner) == ["A", "B"]
    assert await deleted_titles(api, owner, sort="title", limit=1) == ["A", "B"]
    assert await deleted_titles(api, other) == ["C"]
    assert await deleted_titles(api, admin) == ["C", "A", "B"]


async def test_a_deleted_item_shows_when_it_was_deleted_until_it_is_restored(api: Api) -> None:
    owner = await api.register()
    item = await api.create_item(owner)
    before = datetime.now(UTC)
    await delete_item(api, owner, item)

    page = await fetch(api, owner, DELETED_ITEMS)
    [row] = page["data"]
    assert page["meta"]["total"] == 1
    assert row.keys() - item.keys() == {"deleted_at"}
    assert before <= datetime.fromisoformat(row["deleted_at"]) <= datetime.now(UTC)

    restored = await api.client.post(
        f"/api/v1/items/{item['public_id']}/restore", headers=owner.headers
    )
    assert restored.status_code == 200
    assert (await fetch(api, owner, DELETED_ITEMS))["data"] == []


async def test_a_row_whose_unique_value_is_taken_cannot_be_restored(
    app: FastAPI, api: Api, database: Database
) -> None:
    """Email addresses are unique among living accounts."""
    gone = await api.register("ada@example.com")
    await set_columns(database, User, gone.public_id, **DELETED)
    await api.register("Ada@example.com")

    @app.post("/restore/{public_id}")
    async def restore(public_id: str, db: DbSession) -> None:
        users = UserRepository(db)
        user = await users.get_by_public_id(public_id, include_deleted=True)
        assert user is not None
        await users.restore(user)

    problem(await api.client.post(f"/restore/{gone.public_id}"), 409, "restore_conflict")


async def test_another_constraint_violation_of_a_restored_row_is_a_plain_conflict(
    app: FastAPI, api: Api, database: Database
) -> None:
    owner = await api.register()
    item = await api.create_item(owner)

    @app.post("/restore")
    async def restore(db: DbSession) -> None:
        items = ItemRepository(db)
        found = await items.get_by_public_id(item["public_id"])
        assert found is not None
        found.owner_id = 424242
        await items.restore(found)

    problem(await api.client.post("/restore"), 409, "conflict")


@on_postgresql
async def test_an_item_that_is_purged_while_it_is_being_restored_is_404(
    api: Api, database_url: str
) -> None:
    owner = await api.register()
    item = await api.create_item(owner)
    await delete_item(api, owner, item)
    url = f"/api/v1/items/{item['public_id']}/restore"
    async with connection_to(database_url) as purge, connection_to(database_url) as observer:
        await purge.exec_driver_sql("BEGIN")
        await purge.exec_driver_sql("DELETE FROM items")
        restoring = asyncio.create_task(api.client.post(url, headers=owner.headers))
        await until(lambda: is_waiting(observer))
        await purge.exec_driver_sql("COMMIT")

    problem(await restoring, 404, "not_found")


# --- purging


async def test_purging_deletes_the_links_between_items_and_tags(
    api: Api, database: Database
) -> None:
    """RL16: purge an item and a tag. The deletion of an account has deleted its own."""
    owner, leaver = await api.register(), await api.register()
    item = await api.create_item(owner, tags=["home", "work"])
    await api.create_item(owner, tags=["home", "work"])
    await api.create_item(leaver, tags=["home"])
    [work] = [tag["public_id"] for tag in item["tags"] if tag["name"] == "work"]
    await delete_item(api, owner, item)
    await api.client.delete(f"/api/v1/tags/{work}", headers=owner.headers)
    await delete_account(api, leaver)
    assert len((await all_rows(database))["item_tags"]) == 4

    async with database.sessions() as session:
        for table in soft_deleting_tables(Base.metadata):
            repository = DeletedRowRepository(table, session)
            await repository.purge(before=utcnow(), after_id=0, batch=100)
        await session.commit()

    rows = await all_rows(database)
    assert [len(rows[table]) for table in ("users", "items", "tags", "item_tags")] == [1, 1, 1, 1]
