"""Who may do what: every route for every kind of caller, and what others never see."""

from typing import Any

from fastapi import FastAPI
from httpx2 import Response

from app.core.problems import MAX_FAULTS
from app.core.security.permissions import Permission
from app.db.session import Database
from app.models import Base, User, UserRole
from tests.support.api import Account, Api
from tests.support.databases import on_sqlite
from tests.support.problems import faulty_fields, problem
from tests.support.routes import (
    RouteCaller,
    body_for,
    method_of,
    path_for,
    random_id,
    routes_of,
)
from tests.support.table_rows import all_rows, rows_but_the_audit_log, set_columns

# Route: the status for (anonymous, user, administrator). Where the path names something, it is
# somebody else's: a draft item, a tag, or an account. Declare a new route here.
PERMISSIONS: dict[str, tuple[int, int, int]] = {
    "GET /health": (200, 200, 200),
    "GET /health/live": (200, 200, 200),
    "GET /health/ready": (200, 200, 200),
    "GET /.well-known/jwks.json": (200, 200, 200),
    "GET /docs": (200, 200, 200),
    "GET /docs/oauth2-redirect": (200, 200, 200),
    "GET /redoc": (200, 200, 200),
    "GET /openapi.json": (200, 200, 200),
    "FILES /docs-assets": (200, 200, 200),
    "POST /api/v1/auth/register": (201, 201, 201),
    "POST /api/v1/auth/login": (200, 200, 200),
    "POST /api/v1/auth/token": (200, 200, 200),
    "POST /api/v1/auth/refresh": (200, 200, 200),
    "POST /api/v1/auth/logout": (204, 204, 204),
    "POST /api/v1/auth/logout-all": (401, 204, 204),
    "POST /api/v1/auth/reauthenticate": (401, 204, 204),
    "GET /api/v1/auth/sessions": (401, 200, 200),
    "DELETE /api/v1/auth/sessions": (401, 204, 204),
    "DELETE /api/v1/auth/sessions/{public_id}": (401, 404, 404),
    "GET /api/v1/users/me": (401, 200, 200),
    "PATCH /api/v1/users/me": (401, 200, 200),
    "DELETE /api/v1/users/me": (401, 204, 204),
    "POST /api/v1/users/me/change-password": (401, 200, 200),
    "GET /api/v1/users": (401, 403, 200),
    "GET /api/v1/users/{public_id}": (401, 200, 200),
    "POST /api/v1/users/{public_id}/activate": (401, 403, 200),
    "POST /api/v1/users/{public_id}/deactivate": (401, 403, 200),
    "GET /api/v1/audit-events": (401, 403, 200),
    "GET /api/v1/items": (401, 200, 200),
    "POST /api/v1/items": (401, 201, 201),
    "GET /api/v1/items/my": (401, 200, 200),
    "GET /api/v1/items/deleted": (401, 200, 200),
    "GET /api/v1/items/search": (401, 200, 200),
    "GET /api/v1/items/export": (401, 200, 200),
    "POST /api/v1/items/import": (401, 201, 201),
    "POST /api/v1/items/import/ndjson": (401, 201, 201),
    "POST /api/v1/items/bulk": (401, 200, 200),
    "PATCH /api/v1/items/bulk": (401, 200, 200),
    "POST /api/v1/items/bulk-delete": (401, 200, 200),
    "GET /api/v1/items/{public_id}": (401, 404, 200),
    "PATCH /api/v1/items/{public_id}": (401, 404, 200),
    "DELETE /api/v1/items/{public_id}": (401, 404, 204),
    "POST /api/v1/items/{public_id}/restore": (401, 404, 200),
    "GET /api/v1/tags": (401, 200, 200),
    "POST /api/v1/tags": (401, 201, 201),
    "GET /api/v1/tags/{public_id}": (401, 404, 404),
    "PATCH /api/v1/tags/{public_id}": (401, 404, 404),
    "DELETE /api/v1/tags/{public_id}": (401, 404, 404),
}
# What a field would be set to if it were taken over; 1 for the others.
PRIVILEGED_VALUES = {
    "role": "admin",
    "roles": ["admin"],
    "is_deleted": True,
    "public_id": "01890a5d-ac96-774b-bcce-b302099a8057",
    "email": "taken@example.com",
    "status": "active",
}
ITEM_VERBS = [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/restore")]


@on_sqlite
def test_every_route_is_declared_with_its_permissions(app: FastAPI) -> None:
    """AZ1: a route that nobody decided about fails here."""
    assert routes_of(app) == set(PERMISSIONS)


@on_sqlite
def test_the_documentation_shows_which_routes_need_a_permission(app: FastAPI) -> None:
    """AZ1: as OAuth2 scopes, of which ordinary users have none."""
    paths = app.openapi()["paths"]

    def scopes(route: str) -> list[str]:
        method, path = route.lower().split()
        return [
            s
            for way in paths[path][method].get("security", [])
            for s in way.get("OAuth2PasswordBearer", [])
        ]

    api_routes = [route for route in PERMISSIONS if route.split()[1] in paths]
    needed = {route for route in api_routes if scopes(route)}
    assert needed == {route for route in api_routes if PERMISSIONS[route][1] == 403}
    assert scopes("GET /api/v1/users") == [Permission.USERS_READ.value]


@on_sqlite
async def test_a_token_that_nobody_issued_opens_no_protected_route(api: Api) -> None:
    """AZ1."""
    routes, headers = RouteCaller(api), {"Authorization": "Bearer e30.e30.e30"}
    protected = [route for route, who in PERMISSIONS.items() if who[0] == 401]

    found = {r: (await routes.call(r, "user", headers=headers)).status_code for r in protected}

    assert found == dict.fromkeys(protected, 401)


async def on_item(api: Api, caller: Account, verb: tuple[str, str], public_id: str) -> Response:
    method, suffix = verb
    body: dict[str, Any] = {"json": {"title": "Mine now"}} if method == "PATCH" else {}
    path = f"/api/v1/items/{public_id}{suffix}"
    return await api.client.request(method, path, headers=caller.headers, **body)


def without_request_id(response: Response) -> dict[str, Any]:
    body = problem(response, 404, "not_found")
    return {name: body[name] for name in body.keys() - {"request_id", "instance"}}


async def test_a_draft_of_another_answers_as_if_it_were_not_there(api: Api) -> None:
    """AZ2."""
    owner, stranger = await api.register(), await api.register()
    draft = await api.create_item(owner)

    for verb in ITEM_VERBS:
        present = await on_item(api, stranger, verb, draft["public_id"])
        absent = await on_item(api, stranger, verb, random_id())
        assert without_request_id(present) == without_request_id(absent), verb
        assert present.headers.keys() == absent.headers.keys(), verb


async def test_a_published_item_of_another_is_absent_for_whoever_would_write_it(api: Api) -> None:
    """AZ2."""
    owner, stranger = await api.register(), await api.register()
    item = await api.create_item(owner, status="active")

    for verb in ITEM_VERBS[1:]:
        refused = await on_item(api, stranger, verb, item["public_id"])
        absent = await on_item(api, stranger, verb, random_id())
        assert without_request_id(refused) == without_request_id(absent), verb

    seen = await on_item(api, owner, ITEM_VERBS[0], item["public_id"])
    assert seen.json()["data"] == item


async def test_a_deleted_item_of_another_answers_as_if_it_had_never_been(api: Api) -> None:
    """AZ2."""
    owner, stranger = await api.register(), await api.register()
    item = await api.create_item(owner, status="active")
    await on_item(api, owner, ("DELETE", ""), item["public_id"])

    for verb in ITEM_VERBS:
        deleted = await on_item(api, stranger, verb, item["public_id"])
        absent = await on_item(api, stranger, verb, random_id())
        assert without_request_id(deleted) == without_request_id(absent), verb


async def test_what_a_stranger_tries_changes_nothing(api: Api, database: Database) -> None:
    """AZ2."""
    owner, stranger = await api.register(), await api.register()
    item = await api.create_item(owner, status="active")
    before = await all_rows(database)

    for verb in ITEM_VERBS:
        await on_item(api, stranger, verb, item["public_id"])

    assert await all_rows(database) == before


async def test_a_user_cannot_lock_anybody_out(api: Api, database: Database) -> None:
    """AZ1."""
    user, victim = await api.register(), await api.register()
    before = await rows_but_the_audit_log(database)

    for path in ("deactivate", "activate"):
        url = f"/api/v1/users/{victim.public_id}/{path}"
        problem(await api.client.post(url, headers=user.headers), 403, "forbidden")

    assert await rows_but_the_audit_log(database) == before


async def test_an_administrator_loses_the_right_with_the_role(api: Api, database: Database) -> None:
    """AZ1: the role is the database's, not the token's."""
    admin = await api.register_admin()
    await api.client.get("/api/v1/users", headers=admin.headers)
    await set_columns(database, User, admin.public_id, role=UserRole.USER)

    problem(await api.client.get("/api/v1/users", headers=admin.headers), 403, "forbidden")


def privileged_fields() -> set[str]:
    """Every column there is, and what attackers guess."""
    columns = {column.name for table in Base.metadata.sorted_tables for column in table.columns}
    return columns | {"is_admin", "is_superuser", "owner", "owner_public_id", "roles", "scopes"}


async def test_privileged_fields_are_refused_everywhere_and_change_nothing(
    api: Api, database: Database
) -> None:
    """AZ4."""
    admin = await api.register_admin()
    item = await api.create_item(admin, tags=["home"])
    ids = {
        "user": admin.public_id,
        "item": item["public_id"],
        "tag": item["tags"][0]["public_id"],
    }
    before = await all_rows(database)

    for route in PERMISSIONS:
        if body := body_for(route, admin):
            # As many at once as are complained of: each of them must be, and nothing else is wrong.
            fields = sorted(privileged_fields() - body.keys())
            for start in range(0, len(fields), MAX_FAULTS):
                sent = fields[start : start + MAX_FAULTS]
                taken_over = {field: PRIVILEGED_VALUES.get(field, 1) for field in sent}
                response = await api.client.request(
                    method_of(route),
                    path_for(route, **ids),
                    json={**body, **taken_over},
                    headers=admin.headers,
                )
                assert {loc[-1] for loc in faulty_fields(response)} == set(sent), route

    assert await all_rows(database) == before


async def test_a_body_changes_nothing_where_none_is_read(api: Api, database: Database) -> None:
    """AZ4."""
    admin = await api.register_admin()
    item = await api.create_item(admin)
    before = await rows_but_the_audit_log(database)

    for path in (f"items/{item['public_id']}/restore", f"users/{admin.public_id}/activate"):
        body = {"status": "active", "role": "user", "is_active": False, "owner_id": 1}
        response = await api.client.post(f"/api/v1/{path}", json=body, headers=admin.headers)
        assert response.status_code == 200

    assert await rows_but_the_audit_log(database) == before
