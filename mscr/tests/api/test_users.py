"""Accounts: for their owners, for other users and for administrators."""

from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import Response

from examples.catalogue.tests.api import Api
from mscr.endpoints.callers import get_current_user_id
from mscr.testing.api import PASSWORD, Account
from mscr.testing.databases import on_sqlite
from mscr.testing.problems import faulty_fields, problem
from mscr.testing.routes import random_id
from mscr.testing.walking import fetch, walk

USERS = "/api/v1/users"
ME = f"{USERS}/me"


async def patch_me(api: Api, caller: Account, **values: Any) -> Response:
    return await api.client.patch(ME, json=values, headers=caller.headers)


async def profile(api: Api, viewer: Account, public_id: str) -> Response:
    return await api.client.get(f"{USERS}/{public_id}", headers=viewer.headers)


async def act(api: Api, admin: Account, action: str, public_id: str) -> Response:
    return await api.client.post(f"{USERS}/{public_id}/{action}", headers=admin.headers)


async def my_account(api: Api, caller: Account) -> dict[str, Any]:
    account: dict[str, Any] = (await api.me(caller.access_token)).json()["data"]
    return account


async def test_me_is_the_whole_account_without_its_secrets(api: Api) -> None:
    user = await api.register("Ada@Example.com")

    me = await my_account(api, user)

    times = {name: me.pop(name) for name in ("created_at", "updated_at")}
    assert me == {
        "public_id": user.public_id,
        "email": "Ada@Example.com",
        "full_name": None,
        "affiliation": None,
        "role": "user",
        "is_active": True,
        "email_verified_at": None,
    }
    assert all(time.endswith("Z") for time in times.values())


@pytest.mark.parametrize(("sent", "kept"), [("  Ada \n", "Ada"), ("Ä" * 200, "Ä" * 200)])
async def test_a_name_is_trimmed_and_kept(api: Api, sent: str, kept: str) -> None:
    user = await api.register()
    response = await patch_me(api, user, full_name=sent)
    assert response.json()["data"]["full_name"] == kept
    assert await my_account(api, user) == response.json()["data"]


async def test_null_clears_the_name(api: Api) -> None:
    user = await api.register()
    await patch_me(api, user, full_name="Ada")
    assert (await patch_me(api, user, full_name=None)).json()["data"]["full_name"] is None


async def test_an_empty_change_changes_nothing(api: Api) -> None:
    user = await api.register()
    before = (await patch_me(api, user, full_name="Ada")).json()["data"]

    response = await patch_me(api, user)

    assert (response.status_code, response.json()["data"]) == (200, before)


@on_sqlite
@pytest.mark.parametrize("value", ["", "  ", "a" * 201, 5, True, ["Ada"], {"first": "Ada"}])
async def test_a_name_out_of_bounds_is_refused(api: Api, value: Any) -> None:
    user = await api.register()
    assert faulty_fields(await patch_me(api, user, full_name=value)) == [["body", "full_name"]]
    assert (await my_account(api, user))["full_name"] is None


async def test_a_public_profile_has_a_name_and_nothing_else(api: Api) -> None:
    user, viewer = await api.register(), await api.register()
    await patch_me(api, user, full_name="Ada")
    response = await profile(api, viewer, user.public_id)
    assert response.json()["data"] == {"public_id": user.public_id, "full_name": "Ada"}


async def test_an_account_that_was_deactivated_has_no_public_profile(api: Api) -> None:
    """AZ2: the response is that of an account that never existed."""
    admin, user = await api.register_admin(), await api.register()
    await act(api, admin, "deactivate", user.public_id)

    bodies = [
        problem(await profile(api, admin, public_id), 404, "not_found")
        for public_id in (user.public_id, random_id())
    ]

    for body in bodies:
        del body["instance"], body["request_id"]
    assert bodies[0] == bodies[1]


async def test_administrators_see_every_account_newest_first(api: Api) -> None:
    admin, user = await api.register_admin(), await api.register()

    page = await fetch(api, admin, USERS)

    assert page["data"] == [await my_account(api, user), await my_account(api, admin)]
    exact = {"total": 2, "total_relation": "eq"}
    assert page["meta"] == {"page": 1, "per_page": 20, "pages": 1, **exact}


FILTERS: list[tuple[dict[str, str], set[str]]] = [
    ({"is_active": "true"}, {"admin", "active"}),
    ({"is_active": "false"}, {"inactive"}),
    ({"role": "admin"}, {"admin"}),
    ({"role": "user"}, {"active", "inactive"}),
    ({"role": "admin", "is_active": "false"}, set()),
]


async def test_accounts_are_filtered_by_state_and_role(api: Api) -> None:
    admin, active, inactive = [
        await api.register_admin(),
        await api.register(),
        await api.register(),
    ]
    await act(api, admin, "deactivate", inactive.public_id)
    names = {admin.public_id: "admin", active.public_id: "active", inactive.public_id: "inactive"}

    for query, expected in FILTERS:
        page = await fetch(api, admin, USERS, **query)
        assert {names[row["public_id"]] for row in page["data"]} == expected
        assert page["meta"]["total"] == len(expected)


async def test_accounts_are_sorted_by_address_whatever_its_case(api: Api) -> None:
    await api.register("b@example.com")
    await api.register("C@example.com")
    admin = await api.register_admin()
    await api.register("A@example.com")

    ascending = [row["email"] for row in await walk(api, admin, USERS, sort="email", limit=1)]
    descending = [row["email"] for row in await walk(api, admin, USERS, sort="-email", limit=3)]

    assert ascending == ["A@example.com", "b@example.com", "C@example.com", admin.email]
    assert descending == ascending[::-1]


async def test_an_account_that_is_deleted_during_the_request_is_401(app: FastAPI, api: Api) -> None:
    """The account is deleted after its session was checked and before its row was locked."""
    user = await api.register()
    app.dependency_overrides[get_current_user_id] = lambda: 424242

    problem(await patch_me(api, user, full_name="A"), 401, "unauthorized")


async def test_a_deactivated_account_is_logged_out_at_once_and_cannot_log_in(api: Api) -> None:
    admin, user = await api.register_admin(), await api.register()

    response = await act(api, admin, "deactivate", user.public_id)

    assert (response.status_code, response.json()["data"]["is_active"]) == (200, False)
    problem(await api.me(user.access_token), 401, "unauthorized")
    problem(await api.refresh(user.refresh_token), 401, "invalid_refresh_token")
    problem(await api.try_login(user.email, PASSWORD), 401, "invalid_credentials")


async def test_an_activated_account_can_log_in_but_its_old_sessions_stay_ended(api: Api) -> None:
    admin, user = await api.register_admin(), await api.register()
    await act(api, admin, "deactivate", user.public_id)

    response = await act(api, admin, "activate", user.public_id)

    assert (response.status_code, response.json()["data"]["is_active"]) == (200, True)
    problem(await api.me(user.access_token), 401, "unauthorized")
    problem(await api.refresh(user.refresh_token), 401, "invalid_refresh_token")
    again = await api.login(user)
    assert (await api.me(again.access_token)).status_code == 200


async def test_activating_an_active_account_keeps_its_sessions(api: Api) -> None:
    admin, user = await api.register_admin(), await api.register()
    assert (await act(api, admin, "activate", user.public_id)).status_code == 200
    assert (await api.me(user.access_token)).status_code == 200


async def test_deactivating_twice_is_like_deactivating_once(api: Api) -> None:
    """AZ6: the second time does not count as deactivating the last administrator."""
    admin, user = await api.register_admin(), await api.register_admin()
    first, second = [await act(api, admin, "deactivate", user.public_id) for _ in range(2)]
    assert first.json()["data"] == second.json()["data"]


@pytest.mark.parametrize("action", ["activate", "deactivate"])
async def test_an_account_that_never_existed_cannot_be_activated_or_deactivated(
    api: Api, action: str
) -> None:
    admin = await api.register_admin()
    problem(await act(api, admin, action, random_id()), 404, "not_found")


async def test_the_last_administrator_cannot_be_deactivated(api: Api) -> None:
    """AZ6."""
    admin = await api.register_admin()
    problem(await act(api, admin, "deactivate", admin.public_id), 409, "last_administrator")
    assert (await my_account(api, admin))["is_active"] is True


async def test_an_administrator_deactivates_another_one(api: Api) -> None:
    admin, other = await api.register_admin(), await api.register_admin()
    response = await act(api, admin, "deactivate", other.public_id)
    assert response.json()["data"]["is_active"] is False


async def test_the_items_of_a_deactivated_account_stay(api: Api) -> None:
    admin, user = await api.register_admin(), await api.register()
    item = await api.create_item(user, status="active")
    await act(api, admin, "deactivate", user.public_id)
    assert (await fetch(api, admin, "/api/v1/items"))["data"] == [item]
