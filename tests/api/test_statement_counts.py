"""How many SQL statements each route takes, however many rows it shows."""

import pytest
from fastapi import FastAPI

from app.models.ownership import owned_models
from tests.support.api import Api
from tests.support.databases import on_sqlite
from tests.support.routes import RouteCaller, routes_of
from tests.support.statements import StatementCounter

# Route: how many for an administrator, looking up the session included. A new route is declared
# here. A number that has to grow is worth a second look: a list that takes one for each row is slow
# as soon as there are rows.
STATEMENTS: dict[str, int] = {
    "GET /health": 1,
    "GET /health/live": 0,
    "GET /health/ready": 1,
    "GET /.well-known/jwks.json": 0,
    "GET /docs": 0,
    "GET /docs/oauth2-redirect": 0,
    "GET /redoc": 0,
    "GET /openapi.json": 0,
    "FILES /docs-assets": 0,
    "POST /api/v1/auth/register": 9,
    "POST /api/v1/auth/login": 5,
    "POST /api/v1/auth/token": 5,
    "POST /api/v1/auth/refresh": 3,
    "POST /api/v1/auth/logout": 3,
    "POST /api/v1/auth/logout-all": 3,
    "POST /api/v1/auth/reauthenticate": 4,
    "GET /api/v1/auth/sessions": 2,
    "DELETE /api/v1/auth/sessions": 3,
    "DELETE /api/v1/auth/sessions/{public_id}": 3,
    "GET /api/v1/users/me": 1,
    "PATCH /api/v1/users/me": 3,
    "DELETE /api/v1/users/me": 8 + len([*owned_models()]),
    "POST /api/v1/users/me/change-password": 8,
    "GET /api/v1/users": 3,
    "GET /api/v1/users/{public_id}": 2,
    "POST /api/v1/users/{public_id}/activate": 2,
    "POST /api/v1/users/{public_id}/deactivate": 5,
    "GET /api/v1/audit-events": 3,
    "GET /api/v1/items": 3,
    "POST /api/v1/items": 6,
    "GET /api/v1/items/my": 3,
    "GET /api/v1/items/deleted": 3,
    "GET /api/v1/items/search": 3,
    "GET /api/v1/items/export": 2,
    "POST /api/v1/items/import": 3,
    "POST /api/v1/items/import/ndjson": 3,
    "POST /api/v1/items/bulk": 7,
    "PATCH /api/v1/items/bulk": 2,
    "POST /api/v1/items/bulk-delete": 2,
    "GET /api/v1/items/{public_id}": 2,
    "PATCH /api/v1/items/{public_id}": 7,
    "DELETE /api/v1/items/{public_id}": 4,
    "POST /api/v1/items/{public_id}/restore": 6,
    "GET /api/v1/tags": 3,
    "POST /api/v1/tags": 6,
    "GET /api/v1/tags/{public_id}": 2,
    "PATCH /api/v1/tags/{public_id}": 2,
    "DELETE /api/v1/tags/{public_id}": 2,
}


@on_sqlite
def test_every_route_is_declared_with_its_statements(app: FastAPI) -> None:
    assert set(STATEMENTS) == routes_of(app)


async def test_each_route_takes_as_many_statements_as_declared(
    api: Api, queries: StatementCounter
) -> None:
    """With several rows of several owners to show, of which none is the caller's."""
    await api.register_admin()  # so that no other administrator is the last one
    for _ in range(3):
        await api.create_item(await api.register(), status="active")
    # The first one compares the schema with the models, once for the process.
    await api.client.get("/health/ready")
    caller, found = RouteCaller(api), {}
    for route in STATEMENTS:
        # Makes whoever takes part, unless there is somebody left.
        await caller.call("GET /api/v1/users/me", "administrator")
        with queries.counted() as statements:
            response = await caller.call(route, "administrator")
        assert response.status_code < 500, route
        found[route] = len(statements)

    assert found == STATEMENTS


async def test_a_statement_too_many_fails_the_block(api: Api, queries: StatementCounter) -> None:
    account = await api.register()

    with queries.at_most(1):
        await api.me(account.access_token)
    with pytest.raises(AssertionError, match="SELECT"), queries.at_most(0):
        await api.me(account.access_token)
