"""Accounts have the catalogue's own columns, and the kit's logins."""

from sqlalchemy import select

from examples.catalogue.db.session import Database
from examples.catalogue.models import Item, Tag, User
from examples.catalogue.tests.api import Api
from mscr.testing.api import PASSWORD
from mscr.testing.problems import problem
from mscr.testing.table_rows import set_columns


async def test_a_registration_stores_the_column_of_the_catalogues_own(api: Api) -> None:
    body = {"email": "ada@example.com", "password": PASSWORD, "affiliation": "City Library"}
    registered = await api.client.post("/api/v1/auth/register", json=body)

    me = await api.me(registered.json()["data"]["access_token"])

    assert registered.status_code == 201
    assert me.json()["data"]["affiliation"] == "City Library"
    assert me.json()["data"]["role"] == "user"


async def test_a_password_must_not_consist_of_the_affiliation(api: Api) -> None:
    body = {
        "email": "ada@example.com",
        "password": "citylibrary!",
        "affiliation": "City Library",
    }

    refused = problem(
        await api.client.post("/api/v1/auth/register", json=body), 422, "validation_failed"
    )

    assert refused["errors"][0]["type"] == "password_guessable"


async def test_a_session_is_refreshed_until_it_is_logged_out(api: Api) -> None:
    account = await api.login(await api.register())

    token = (await api.refresh(account.refresh_token)).json()["data"]["refresh_token"]
    ended = await api.client.post("/api/v1/auth/logout", json={"refresh_token": token})

    assert ended.status_code == 204
    problem(await api.refresh(token), 401, "invalid_refresh_token")


async def test_the_documentations_form_logs_in(api: Api) -> None:
    account = await api.register()
    form = {"grant_type": "password", "username": account.email, "password": account.password}

    response = await api.client.post("/api/v1/auth/token", data=form)

    assert (await api.me(response.json()["access_token"])).status_code == 200


async def test_administrators_read_the_audit_log(api: Api) -> None:
    admin, user = await api.register_admin(), await api.register()

    listed = await api.client.get("/api/v1/audit-events", headers=admin.headers)
    refused = await api.client.get("/api/v1/audit-events", headers=user.headers)

    assert [event["action"] for event in listed.json()["data"]] == ["register", "register"]
    problem(refused, 403, "forbidden")


async def test_a_deleted_account_leaves_no_personal_data_and_takes_its_items_along(
    api: Api, database: Database
) -> None:
    owner, admin = await api.register(), await api.register_admin()
    item = await api.create_item(owner, tags=["mine"])
    restore = f"/api/v1/items/{item['public_id']}/restore"
    await set_columns(database, User, owner.public_id, affiliation="City Library")

    wrong = await api.delete_account(owner, "not the password")
    deleted = await api.delete_account(owner, owner.password)

    problem(wrong, 403, "wrong_password")
    assert deleted.status_code == 204
    problem(await api.me(owner.access_token), 401, "unauthorized")
    # Nobody may restore what belonged to the account.
    assert await api.titles("/deleted", admin) == []
    problem(await api.client.post(restore, headers=admin.headers), 404, "not_found")
    async with database.read_sessions() as session:
        user = await session.scalar(select(User).where(User.public_id == owner.public_id))
        rows = [*await session.scalars(select(Item)), *await session.scalars(select(Tag))]
    assert [row.is_deleted for row in rows] == [True, True]
    assert user is not None
    assert (user.is_deleted, user.affiliation) == (True, None)
    assert user.email.endswith("@deleted.invalid")
