"""Users delete their own account; the last administrator cannot be removed."""

import asyncio

import pytest
from httpx2 import Response
from sqlalchemy import func, select

from examples.catalogue.db.session import Database
from examples.catalogue.models.user import User, UserRole
from examples.catalogue.repositories.note_repository import NoteRepository
from examples.catalogue.services.user_service import UserService
from examples.catalogue.tests.api import Api
from mscr.core.security.password import PasswordService
from mscr.testing.api import PASSWORD, Account
from mscr.testing.hashing import busy_hashing
from mscr.testing.problems import assert_unauthorized, faulty_fields, problem
from mscr.testing.table_rows import rows_but_the_audit_log
from mscr.testing.waiting import PATIENCE

ME = "/api/v1/users/me"


# --- deletion


async def test_deletion_returns_204_without_a_body(api: Api, account: Account) -> None:
    response = await delete(api, account)

    assert (response.status_code, response.content) == (204, b"")


async def test_deletion_requires_the_password(api: Api, account: Account) -> None:
    """A request with a wrong password changes nothing."""
    problem(await delete(api, account, password="wrong password"), 403, "wrong_password")

    assert (await api.me(account.access_token)).status_code == 200


async def test_deletion_requires_an_access_token(api: Api) -> None:
    assert_unauthorized(await api.client.request("DELETE", ME, json={"password": PASSWORD}))


async def test_the_error_names_the_missing_password(api: Api, account: Account) -> None:
    for body in ({}, {"password": ""}, {"password": None}):
        response = await api.client.request("DELETE", ME, json=body, headers=account.headers)
        assert faulty_fields(response) == [["body", "password"]]


async def test_a_deleted_account_cannot_log_in(api: Api, account: Account) -> None:
    await delete(api, account)

    response = await api.try_login(account.email, account.password)
    assert_unauthorized(response, "invalid_credentials")


async def test_the_address_is_free_for_a_new_account(api: Api, account: Account) -> None:
    await delete(api, account)
    again = await api.register(account.email)

    assert again.public_id != account.public_id


async def test_an_address_can_be_registered_and_deleted_repeatedly(api: Api) -> None:
    for _ in range(3):
        response = await delete(api, await api.register("ada@example.com"))
        assert response.status_code == 204


async def test_deletion_erases_all_personal_data(api: Api, database: Database) -> None:
    """No column of any table has it. The audit log outlives the account, with public ids only."""
    body = {"email": "Ada.L@Example.com", "password": PASSWORD, "full_name": "Ada Lovelace"}
    tokens = (await api.client.post("/api/v1/auth/register", json=body)).json()["data"]
    account = Account("Ada.L@Example.com", "", tokens)
    before = repr(await rows_but_the_audit_log(database)).lower()
    await delete(api, account)
    after = repr(await rows_but_the_audit_log(database)).lower()

    personal = ("ada.l", "example.com", "lovelace", "$argon2id$", "127.0.0.1", "python-httpx")
    assert [word for word in personal if word not in before] == []
    assert [word for word in personal if word in after] == []


async def test_a_service_erases_more_in_the_same_transaction(
    api: Api, account: Account, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An override of `erase` runs first: it still sees the address, and its rows."""
    note = {"text": "Delete me yourself"}
    await api.client.post("/api/v1/notes", json=note, headers=account.headers)
    seen: list[tuple[str, int]] = []

    async def erase(service: UserService, user: User) -> None:
        notes = NoteRepository(service.user_repo.session)
        seen.append((user.email, await notes.count(owner_id=user.id)))
        user.is_active = False

    monkeypatch.setattr(UserService, "erase", erase)
    response = await delete(api, account)

    async with database.read_sessions() as session:
        user = (await session.scalars(select(User).filter_by(public_id=account.public_id))).one()
    assert (response.status_code, seen) == (204, [(account.email, 1)])
    assert (user.is_active, user.is_deleted) == (False, True)


async def test_deletion_deletes_the_items_of_the_account(
    api: Api, account: Account, database: Database
) -> None:
    other = await api.register()
    item = await api.create_item(account, status="active")
    await delete(api, account)

    path = f"/api/v1/items/{item['public_id']}"
    problem(await api.client.get(path, headers=other.headers), 404, "not_found")
    listed = await api.client.get("/api/v1/items", headers=other.headers)
    assert listed.json()["data"] == []


async def test_deletion_keeps_the_items_of_others(api: Api, account: Account) -> None:
    other = await api.register()
    item = await api.create_item(other)
    await delete(api, account)

    path = f"/api/v1/items/{item['public_id']}"
    assert (await api.client.get(path, headers=other.headers)).status_code == 200


async def test_an_administrator_cannot_restore_items_of_a_deleted_account(
    api: Api, account: Account
) -> None:
    admin = await api.register_admin()
    item = await api.create_item(account)
    await delete(api, account)

    path = f"/api/v1/items/{item['public_id']}/restore"
    problem(await api.client.post(path, headers=admin.headers), 404, "not_found")


async def test_the_profile_of_a_deleted_account_is_404(api: Api, account: Account) -> None:
    other = await api.register()
    await delete(api, account)

    path = f"/api/v1/users/{account.public_id}"
    problem(await api.client.get(path, headers=other.headers), 404, "not_found")


# --- the last administrator


async def test_the_last_administrator_cannot_be_deleted(api: Api) -> None:
    """AZ6: the account and its session stay as they were."""
    admin = await api.register_admin()
    problem(await delete(api, admin), 409, "last_administrator")

    assert (await api.me(admin.access_token)).status_code == 200
    assert (await api.try_login(admin.email, admin.password)).status_code == 200


async def test_the_last_administrator_cannot_be_deactivated(api: Api) -> None:
    """AZ6."""
    admin = await api.register_admin()
    problem(await deactivate(api, admin, admin), 409, "last_administrator")

    assert (await api.me(admin.access_token)).status_code == 200


async def test_a_deactivated_administrator_does_not_count(api: Api) -> None:
    """AZ6."""
    admin, other = await api.register_admin(), await api.register_admin()
    assert (await deactivate(api, admin, other)).status_code == 200

    problem(await delete(api, admin), 409, "last_administrator")


async def test_an_administrator_who_is_not_the_last_can_be_deleted(api: Api) -> None:
    """AZ6."""
    _, other = await api.register_admin(), await api.register_admin()

    assert (await delete(api, other)).status_code == 204


@pytest.mark.settings(PASSWORD_HASH_THREADS=1, PASSWORD_HASH_QUEUE=1)
async def test_an_account_promoted_to_last_administrator_during_its_deletion_is_kept(
    api: Api, account: Account, database: Database, passwords: PasswordService
) -> None:
    """AZ6: the deletion is refused (401) if the role changed after the password check."""
    async with asyncio.timeout(PATIENCE.total_seconds()), busy_hashing(passwords, jobs=1):
        deletion = asyncio.create_task(delete(api, account))
        # The deletion has read the account once it takes the second place. No event signals this.
        while passwords._free > 0:  # noqa: ASYNC110 - see above
            await asyncio.sleep(0)
        await api.promote(account)

    assert_unauthorized(await deletion)
    assert await count_administrators(database) == 1


async def test_concurrent_deletions_keep_one_administrator(api: Api, database: Database) -> None:
    """AZ6."""
    admins = [await api.register_admin() for _ in range(4)]
    responses = await asyncio.gather(*(delete(api, admin) for admin in admins))

    assert sorted(response.status_code for response in responses) == [204, 204, 204, 409]
    assert await count_administrators(database) == 1


async def test_concurrent_deactivations_keep_one_administrator(
    api: Api, database: Database
) -> None:
    """AZ6: a refused one was already deactivated (401), or would have been the last (409)."""
    admins = [await api.register_admin() for _ in range(4)]
    circle = zip(admins, admins[1:] + admins[:1], strict=True)
    responses = await asyncio.gather(*(deactivate(api, one, next_) for one, next_ in circle))

    assert {response.status_code for response in responses} <= {200, 401, 409}
    assert await count_administrators(database) >= 1


async def delete(api: Api, account: Account, *, password: str = PASSWORD) -> Response:
    body = {"password": password}
    return await api.client.request("DELETE", ME, json=body, headers=account.headers)


async def deactivate(api: Api, admin: Account, account: Account) -> Response:
    path = f"/api/v1/users/{account.public_id}/deactivate"
    return await api.client.post(path, headers=admin.headers)


async def count_administrators(database: Database) -> int:
    statement = select(func.count()).where(
        User.role == UserRole.ADMIN, User.is_active, User.is_deleted.is_(False)
    )
    async with database.sessions() as session:
        return await session.scalar(statement) or 0
