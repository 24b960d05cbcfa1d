"""A user's own account, public profiles, and the administration of accounts."""

from typing import Any

import pytest
from httpx2 import Response

from app.db.session import Database
from mscr.testing.api import PASSWORD, Account
from mscr.testing.problems import assert_unauthorized, faulty_fields, problem
from mscr.testing.routes import random_id
from mscr.testing.table_rows import rows_but_the_audit_log
from mscr.testing.walking import fetch
from tests.api import Api

USERS = "/api/v1/users"
ME = f"{USERS}/me"


async def update(api: Api, user: Account, **values: Any) -> Response:
    return await api.client.patch(ME, json=values, headers=user.headers)


async def delete(api: Api, user: Account, password: str = PASSWORD) -> Response:
    body = {"password": password}
    return await api.client.request("DELETE", ME, json=body, headers=user.headers)


async def profile(api: Api, viewer: Account, public_id: str) -> Response:
    return await api.client.get(f"{USERS}/{public_id}", headers=viewer.headers)


async def administrate(api: Api, admin: Account, action: str, public_id: str) -> Response:
    return await api.client.post(f"{USERS}/{public_id}/{action}", headers=admin.headers)


# --- the own account


async def test_users_see_their_whole_account_without_its_secrets(api: Api) -> None:
    user = await api.register("Ada@Example.com")

    me = (await api.me(user.access_token)).json()["data"]

    expected = {
        "public_id": user.public_id,
        "email": "Ada@Example.com",
        "full_name": None,
        "role": "user",
        "is_active": True,
    }
    assert me | expected == me
    assert {"created_at", "updated_at"} <= me.keys()
    assert {"id", "email_key", "password_hash", "auth_version"}.isdisjoint(me)


async def test_users_change_and_clear_their_name(api: Api) -> None:
    user = await api.register()

    changed = await update(api, user, full_name="  Ada Lovelace ")
    unchanged = await update(api, user)
    cleared = await update(api, user, full_name=None)

    names = [r.json()["data"]["full_name"] for r in (changed, unchanged, cleared)]
    assert names == ["Ada Lovelace", "Ada Lovelace", None]


@pytest.mark.parametrize(
    ("field", "value"), [("email", "new@example.com"), ("role", "admin"), ("is_active", False)]
)
async def test_users_cannot_change_their_address_role_or_state(
    api: Api, field: str, value: Any
) -> None:
    user = await api.register()

    assert faulty_fields(await update(api, user, **{field: value})) == [["body", field]]


async def test_a_change_based_on_an_old_version_is_refused(api: Api) -> None:
    user = await api.register()
    seen = (await api.me(user.access_token)).headers["etag"]
    await update(api, user, full_name="Ada")

    headers = user.headers | {"If-Match": seen}
    refused = await api.client.patch(ME, json={"full_name": "Grace"}, headers=headers)

    problem(refused, 412, "precondition_failed")


# --- deletion


async def test_deletion_erases_all_personal_data(api: Api, database: Database) -> None:
    """No column of any table keeps it. `TestDeletion` has the columns that you add to `User`."""
    path, body = api.registration("Ada.L@Example.com", PASSWORD)
    created = await api.client.post(path, json={**body, "full_name": "Ada Lovelace"})
    tokens = created.json()["data"]
    before = repr(await rows_but_the_audit_log(database)).lower()

    scheme = api.dialect.token_scheme_name
    deleted = await delete(api, Account("Ada.L@Example.com", "", tokens, token_scheme=scheme))

    after = repr(await rows_but_the_audit_log(database)).lower()
    personal = ("ada.l", "example.com", "lovelace", "$argon2id$", "127.0.0.1")
    assert deleted.status_code == 204
    assert [word for word in personal if word not in before] == []
    assert [word for word in personal if word in after] == []


async def test_a_deleted_account_is_logged_out_and_its_address_is_free(api: Api) -> None:
    user = await api.register()
    await delete(api, user)

    assert_unauthorized(await api.me(user.access_token))
    assert_unauthorized(await api.try_login(user.email, PASSWORD), "invalid_credentials")
    assert (await api.register(user.email)).public_id != user.public_id


async def test_deletion_requires_the_password(api: Api) -> None:
    user = await api.register()

    problem(await delete(api, user, "a guess"), 403, "wrong_password")

    assert (await api.me(user.access_token)).status_code == 200


# --- public profiles


async def test_others_see_the_name_of_a_user_and_neither_address_nor_role(api: Api) -> None:
    user, viewer = await api.register(), await api.register()
    await update(api, user, full_name="Ada")

    shown = (await profile(api, viewer, user.public_id)).json()["data"]

    assert shown | {"public_id": user.public_id, "full_name": "Ada"} == shown
    assert {"id", "email", "email_key", "role", "is_active", "created_at"}.isdisjoint(shown)


async def test_a_deactivated_account_has_no_profile(api: Api) -> None:
    admin, user = await api.register_admin(), await api.register()
    await administrate(api, admin, "deactivate", user.public_id)

    for public_id in (user.public_id, random_id()):
        problem(await profile(api, admin, public_id), 404, "not_found")


# --- administration


async def test_administrators_list_all_accounts_newest_first(api: Api) -> None:
    admin, user = await api.register_admin(), await api.register()

    page = await fetch(api, admin, USERS)

    assert [row["public_id"] for row in page["data"]] == [user.public_id, admin.public_id]
    assert page["meta"]["total"] == 2


async def test_administrators_filter_and_sort_accounts(api: Api) -> None:
    admin = await api.register_admin()
    await api.register("c@example.com")
    await api.register("B@example.com")
    inactive = await api.register("a@example.com")
    await administrate(api, admin, "deactivate", inactive.public_id)

    async def found(**query: str) -> list[str]:
        return [row["email"] for row in (await fetch(api, admin, USERS, **query))["data"]]

    assert await found(role="admin") == [admin.email]
    assert await found(is_active="false") == ["a@example.com"]
    by_address = ["B@example.com", "c@example.com"]
    assert await found(role="user", is_active="true", sort="email") == by_address
    assert await found(created_at_gte="2100-01-01T00:00:00Z") == []
    assert await found(created_at_lte="2000-01-01T00:00:00Z") == []


async def test_a_deactivated_account_is_locked_out_until_it_is_activated(api: Api) -> None:
    admin, user = await api.register_admin(), await api.register()

    deactivated = await administrate(api, admin, "deactivate", user.public_id)

    assert deactivated.json()["data"]["is_active"] is False
    assert_unauthorized(await api.me(user.access_token))
    assert_unauthorized(await api.refresh(user.refresh_token), "invalid_refresh_token")
    assert_unauthorized(await api.try_login(user.email, PASSWORD), "invalid_credentials")

    activated = await administrate(api, admin, "activate", user.public_id)

    assert activated.json()["data"]["is_active"] is True
    assert_unauthorized(await api.me(user.access_token))
    assert (await api.try_login(user.email, PASSWORD)).status_code == 200


async def test_doing_it_twice_is_like_doing_it_once(api: Api) -> None:
    admin, user = await api.register_admin(), await api.register()

    active = await administrate(api, admin, "activate", user.public_id)
    assert active.status_code == 200
    assert (await api.me(user.access_token)).status_code == 200

    answers = [await administrate(api, admin, "deactivate", user.public_id) for _ in range(2)]
    assert answers[0].json()["data"] == answers[1].json()["data"]


@pytest.mark.parametrize("action", ["activate", "deactivate"])
async def test_an_account_that_does_not_exist_is_404(api: Api, action: str) -> None:
    admin = await api.register_admin()

    problem(await administrate(api, admin, action, random_id()), 404, "not_found")


async def test_every_administrative_act_is_in_the_audit_log(api: Api) -> None:
    admin, user = await api.register_admin(), await api.register()
    for action in ("deactivate", "activate"):
        await administrate(api, admin, action, user.public_id)

    events = (await fetch(api, admin, "/api/v1/audit-events"))["data"]

    acts = [e["action"] for e in events if e["actor_public_id"] == admin.public_id]
    assert acts[:2] == ["activate_user", "deactivate_user"]


# --- the last administrator


async def test_the_last_administrator_cannot_be_deactivated_or_deleted(api: Api) -> None:
    admin, other = await api.register_admin(), await api.register_admin()
    assert (await administrate(api, admin, "deactivate", other.public_id)).status_code == 200

    refused = await administrate(api, admin, "deactivate", admin.public_id)
    problem(refused, 409, "last_administrator")
    problem(await delete(api, admin), 409, "last_administrator")

    assert (await api.me(admin.access_token)).status_code == 200


async def test_an_administrator_who_is_not_the_last_may_go(api: Api) -> None:
    _, other = await api.register_admin(), await api.register_admin()

    assert (await delete(api, other)).status_code == 204
