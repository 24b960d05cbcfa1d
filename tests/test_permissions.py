"""The permissions of each role, and that routes ask for them."""

import pytest

from app.core.security.permissions import DESCRIPTIONS, ROLE_PERMISSIONS, Permission, allows
from app.db.session import Database
from app.models import User, UserRole
from mscr.testing.problems import problem
from mscr.testing.table_rows import set_columns
from tests.api import Api


def test_every_role_has_a_line_in_the_table_of_permissions() -> None:
    assert {*ROLE_PERMISSIONS} == {*UserRole}


def test_users_have_no_permission_and_administrators_all() -> None:
    assert ROLE_PERMISSIONS[UserRole.USER] == set()
    assert ROLE_PERMISSIONS[UserRole.ADMIN] == {*Permission}


@pytest.mark.parametrize("role", UserRole)
async def test_a_role_may_do_what_its_permissions_allow(api: Api, role: UserRole) -> None:
    account = await api.register(role=role)

    response = await api.client.get("/api/v1/users", headers=account.headers)

    may = Permission.USERS_READ in ROLE_PERMISSIONS[role]
    assert response.status_code == (200 if may else 403)


def test_the_documentation_describes_every_permission() -> None:
    assert {*DESCRIPTIONS} == {*Permission}


@pytest.mark.parametrize("permission", Permission)
def test_only_a_role_with_the_permission_is_allowed(permission: Permission) -> None:
    assert allows(User(role=UserRole.ADMIN), permission)
    assert not allows(User(role=UserRole.USER), permission)


def test_an_unknown_permission_is_an_error() -> None:
    with pytest.raises(ValueError, match="users:eat"):
        allows(User(role=UserRole.ADMIN), "users:eat")


@pytest.mark.parametrize("path", ["/api/v1/users", "/api/v1/audit-events"])
async def test_a_new_role_takes_effect_on_the_next_request(
    api: Api, database: Database, path: str
) -> None:
    user = await api.register()
    problem(await api.client.get(path, headers=user.headers), 403, "forbidden")

    await set_columns(database, User, user.public_id, role=UserRole.ADMIN)

    assert (await api.client.get(path, headers=user.headers)).status_code == 200
