"""Required permissions of routes, and the challenge in a 403."""

from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Security

from examples.catalogue.core.permissions import ROLE_PERMISSIONS, Permission
from examples.catalogue.models.user import UserRole
from examples.catalogue.tests.api import Api
from mscr.core.security.principal import Principal
from mscr.endpoints.permissions import get_permitted_principal
from mscr.http.bearer import SCHEME_NAME
from mscr.testing.databases import on_sqlite
from mscr.testing.problems import problem

# Roles do not depend on the database.
pytestmark = on_sqlite


async def test_every_permission_of_a_route_is_required_and_named(
    api: Api, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AZ1: the challenge lists the required scopes (RFC 6750 §3.1)."""
    needed = [Permission.USERS_READ, Permission.AUDIT_READ]

    @app.get("/both")
    async def both(
        _: Annotated[
            Principal, Security(get_permitted_principal, scopes=[p.value for p in needed])
        ],
    ) -> None:
        """Require both permissions."""

    user = await api.register()
    challenges = []
    for held in ([], needed[:1], needed[1:], needed):
        monkeypatch.setitem(ROLE_PERMISSIONS, UserRole.USER, frozenset(held))
        response = await api.client.get("/both", headers=user.headers)
        challenges.append((response.status_code, response.headers.get("www-authenticate")))

    refused = (403, 'Bearer error="insufficient_scope", scope="users:read audit:read"')
    assert challenges == [refused] * 3 + [(200, None)]


async def test_a_role_without_permissions_declared_has_none(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AZ1."""
    admin = await api.register_admin()
    monkeypatch.delitem(ROLE_PERMISSIONS, UserRole.ADMIN)
    response = await api.client.get("/api/v1/users", headers=admin.headers)
    problem(response, 403, "forbidden")


def test_every_permission_is_described_in_the_documentation(app: FastAPI) -> None:
    """AZ1."""
    schemes = app.openapi()["components"]["securitySchemes"]
    assert schemes[SCHEME_NAME]["flows"]["password"]["scopes"].keys() == {*Permission}


async def test_a_route_without_its_permissions_is_500(api: Api, app: FastAPI) -> None:
    """AZ1."""

    @app.get("/forgotten")
    async def forgotten(_: Annotated[Principal, Depends(get_permitted_principal)]) -> None:
        """Require no permission, by mistake."""

    admin = await api.register_admin()
    response = await api.client.get("/forgotten", headers=admin.headers)

    problem(response, 500, "internal_error")


def test_the_scope_of_a_route_is_its_permission(app: FastAPI) -> None:
    """AZ1."""
    [way] = app.openapi()["paths"]["/api/v1/users"]["get"]["security"]
    assert way == {SCHEME_NAME: [Permission.USERS_READ.value]}
