"""Every route of the application, and for each a request that it accepts from whoever may."""

import re
import secrets
from typing import Any, Final, Literal, NamedTuple
from uuid import uuid4

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from httpx2 import Response

from tests.support.api import PASSWORD, Account, Api

Caller = Literal["anonymous", "user", "administrator"]
CALLERS: Final[tuple[Caller, ...]] = ("anonymous", "user", "administrator")
FILES: Final = "FILES"
SAFE_METHODS: Final = {"GET", "HEAD"}

# Route: the media type and the text of a file that it accepts.
FILE_BODIES: Final = {
    "POST /api/v1/items/import": ("text/csv", "title\r\nNew\r\n"),
    "POST /api/v1/items/import/ndjson": ("application/x-ndjson", '{"title": "New"}\n'),
}
# Route: the parts of a multipart form that it accepts, each a name, its content and its media type.
UPLOADS: Final[dict[str, dict[str, tuple[str, bytes, str]]]] = {}
FORM_ROUTES: Final = {"POST /api/v1/auth/token"}
QUERIES: Final = {"GET /api/v1/items/search": {"q": "thing"}}


def routes_of(app: FastAPI) -> set[str]:
    """`METHOD /path` of each route; a folder of static files has no methods."""
    return {
        f"{method} {route.path}"
        for route in iter_route_contexts(app.routes)
        for method in (route.methods or {FILES})
    }


def method_of(route: str) -> str:
    method = route.partition(" ")[0]
    return "GET" if method == FILES else method


def methods_at(app: FastAPI, path: str) -> set[str]:
    """What may be asked of this path, by all routes whose pattern it fits, ids or not."""
    methods: set[str] = set()
    for route in routes_of(app):
        method, _, pattern = route.partition(" ")
        segments = re.sub(r"{\w+(:\w+)?}", "[^/]+", pattern)
        if method == FILES and re.fullmatch(f"{segments}/.*", path):
            methods |= SAFE_METHODS
        elif re.fullmatch(segments, path):
            methods.add(method)
    # HEAD is GET without the content, wherever that is.
    return methods | {"HEAD"} if "GET" in methods else methods


def random_id() -> str:
    """The public id of nothing."""
    return str(uuid4())


def body_for(route: str, account: Account) -> dict[str, Any] | None:
    """A body that the route accepts from the account, or on its behalf; None where none is read."""
    bodies: dict[str, dict[str, Any]] = {
        "POST /api/v1/auth/register": {
            "email": f"new-{secrets.token_hex(6)}@example.com",
            "password": PASSWORD,
            "full_name": "Newcomer",
        },
        # None that was mailed: that would have to be asked for first.
        "POST /api/v1/auth/confirm-registration": {"token": "unknown"},
        "POST /api/v1/auth/login": {"email": account.email, "password": account.password},
        "POST /api/v1/auth/refresh": {"refresh_token": account.refresh_token},
        "POST /api/v1/auth/logout": {"refresh_token": account.refresh_token},
        "POST /api/v1/auth/reauthenticate": {"password": account.password},
        "PATCH /api/v1/users/me": {"full_name": "Renamed"},
        "DELETE /api/v1/users/me": {"password": account.password},
        "POST /api/v1/users/me/change-password": {
            "current_password": account.password,
            "new_password": "another good passphrase",
        },
        "POST /api/v1/items": {
            "title": "New",
            "description": "Thing",
            "status": "draft",
            "tags": ["home"],
        },
        "PATCH /api/v1/items/{public_id}": {
            "title": "Changed",
            "description": None,
            "status": "active",
            "tags": ["home", "Thing"],
        },
        "POST /api/v1/items/bulk": {"rows": [{"title": "New"}]},
        # Of nobody: each row is answered for itself.
        "PATCH /api/v1/items/bulk": {"rows": [{"public_id": random_id(), "title": "Changed"}]},
        "POST /api/v1/items/bulk-delete": {"rows": [{"public_id": random_id()}]},
        "POST /api/v1/tags": {"name": f"tag {secrets.token_hex(6)}"},
        "PATCH /api/v1/tags/{public_id}": {"name": "play"},
    }
    return bodies.get(route)


def form_for(route: str, account: Account) -> dict[str, str]:
    """Return a form that a route of `FORM_ROUTES` accepts from the account."""
    forms = {
        "POST /api/v1/auth/token": {
            "grant_type": "password",
            "username": account.email,
            "password": account.password,
        }
    }
    return forms[route]


def body_of(route: str, account: Account) -> dict[str, Any]:
    """Return the body as an argument of the HTTP client: JSON, a form, a file or uploads."""
    if route in UPLOADS:
        return {"files": UPLOADS[route]}
    if route in FORM_ROUTES:
        return {"data": form_for(route, account)}
    if route in FILE_BODIES:
        return {"content": FILE_BODIES[route][1]}
    return {"json": body_for(route, account)}


def headers_of(route: str) -> dict[str, str]:
    """What the body of `body_of` comes with."""
    return {"Content-Type": FILE_BODIES[route][0]} if route in FILE_BODIES else {}


def path_for(route: str, *, user: str, item: str, tag: str) -> str:
    """The route's path, which names this user, item or tag where it names one."""
    path = route.partition(" ")[2]
    if route.startswith(FILES):
        return f"{path}/swagger-ui.css"
    named = {"/items/": item, "/tags/": tag}
    public_id = next((named[part] for part in named if part in path), user)
    return path.replace("{public_id}", public_id)


class Cast(NamedTuple):
    """Who takes part in a call: the caller if there is one, and somebody else with an item.

    The item has a tag.
    """

    account: Account | None
    other: Account
    item: str
    tag: str


class RouteCaller:
    """Calls routes, each time with accounts and an item that no call before has changed.

    It makes new ones after a call that was not refused, unless that only read.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._unchanged: dict[Caller, Cast] = {}

    async def call(self, route: str, caller: Caller, **request: Any) -> Response:
        """The answer to an acceptable request whose path names somebody else's draft or account.

        `request` replaces parts of it, in the terms of the HTTP client.
        """
        cast = self._unchanged.get(caller) or await self._new_cast(caller)
        account, other, item, tag = cast
        whole = {
            "headers": (account.headers if account else {}) | headers_of(route),
            "params": QUERIES.get(route),
            **body_of(route, account or other),
            **request,
        }
        path = path_for(route, user=other.public_id, item=item, tag=tag)
        method = method_of(route)
        self._unchanged[caller] = cast
        response = await self._api.client.request(method, path, **whole)
        if response.is_success and method not in SAFE_METHODS:
            del self._unchanged[caller]
        return response

    async def _new_cast(self, caller: Caller) -> Cast:
        other = await self._api.register()
        item = await self._api.create_item(other, title="Thing of another", tags=["Thing"])
        tag = item["tags"][0]["public_id"]
        return Cast(await self._account(caller), other, item["public_id"], tag)

    async def _account(self, caller: Caller) -> Account | None:
        if caller == "anonymous":
            return None
        return await (self._api.register_admin if caller != "user" else self._api.register)()
