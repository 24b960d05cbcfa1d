"""What a route says about the permissions it needs, and what it tells whoever lacks one."""

from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Security

from app.core.dependencies import get_permitted_principal
from app.core.openapi import ACCESS_TOKEN
from app.core.security.permissions import ROLE_PERMISSIONS, Permission
from app.core.security.principal import Principal
from app.models import UserRole
from tests.support.api import Api
from tests.support.databases import on_sqlite
from tests.support.problems import problem

# Roles are the same on either database.
pytestmark = on_sqlite


async def test_every_permission_of_a_route_is_needed_and_named(
    api: Api, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AZ1: RFC 6750 §3.1 tells the client what it lacks."""
    needed = [Permission.USERS_READ, Permission.AUDIT_READ]

    @app.get("/both")
    async def both(
        _: Annotated[
            Principal, Security(get_permitted_principal, scopes=[p.value for p in needed])
        ],
    ) -> None:
        """For who has both."""

    user = await api.register()
    challenges = []
    for held in ([], needed[:1], needed[1:], needed):
        monkeypatch.setitem(ROLE_PERMISSIONS, UserRole.USER, frozenset(held))
        response = await api.client.get("/both", headers=user.headers)
        challenges.append((response.status_code, response.headers.get("www-authenticate")))

    refused = (403, 'Bearer error="insufficient_scope", scope="users:read audit:read"')
    assert challenges == [refused] * 3 + [(200, None)]


def test_every_permission_is_described_in_the_documentation(app: FastAPI) -> None:
    """AZ1."""
    schemes = app.openapi()["components"]["securitySchemes"]
    assert schemes[ACCESS_TOKEN]["flows"]["password"]["scopes"].keys() == {*Permission}


async def test_a_route_that_forgot_its_permission_lets_nobody_in(api: Api, app: FastAPI) -> None:
    """AZ1."""

    @app.get("/forgotten")
    async def forgotten(_: Annotated[Principal, Depends(get_permitted_principal)]) -> None:
        """For nobody, until somebody decides."""

    admin = await api.register_admin()
    response = await api.client.get("/forgotten", headers=admin.headers)

    problem(response, 500, "internal_error")
