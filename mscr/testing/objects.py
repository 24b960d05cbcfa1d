"""The objects that paths and bodies name, created with the routes of the application."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, NamedTuple

from fastapi import FastAPI
from httpx2 import Response

from mscr.testing.api import Account, Api
from mscr.testing.examples import MOST_VARIED, Body, Examples
from mscr.testing.json_schema import EXAMPLES
from mscr.testing.problems import code_of
from mscr.testing.routes import PARAMETER, ApiRoute, Caller, random_id, routes_of

# The object in a path: none, one that is its owner's alone, or one that others may see.
Target = Literal["none", "own", "other"]
# The fields with the id of an object, beside one that is named like the parameter.
_IDS: Final = ("public_id", "id")
# Ids of users in paths and bodies, for whom there is no collection: the account itself is named.
_USER_IDS: Final = ("user_public_id", "user_id")
REMEDY: Final = (
    "give its fields examples that are accepted, or return a body in `example_body` of your `Api` "
    "(docs/testing.md)"
)


class Place(NamedTuple):
    """A path, and what it names."""

    path: str
    target: Target


class Found(NamedTuple):
    """An object as the API shows it."""

    fields: Mapping[str, Any]
    target: Target


class Objects:
    """Finds the objects that a path or a body names.

    The POST of a collection creates one; if it requires a permission, an administrator does that.
    A collection without a POST is listed. An object that neither gives has a random id.

    Raises `AssertionError` if the example of a POST is refused.
    """

    def __init__(self, api: Api, app: FastAPI) -> None:
        self.routes = routes_of(app)
        self.examples = Examples(app.openapi())
        self._api = api
        self._others: dict[str, Account] = {}
        self._found: dict[tuple[str, str], Found | None] = {}

    async def place(self, route: ApiRoute, owner: Account) -> Place:
        """Return the route's path, in which the ids are those of an owner's objects."""
        path, target = route.path, Place(route.path, "none").target
        template = route.path
        while parameter := PARAMETER.search(path):
            collection = template[: template.index(parameter[0])].rstrip("/")
            beginning = path[: parameter.start()].rstrip("/")
            found = await self._object_in(collection, beginning, owner)
            value = None if found is None else _id_in(found.fields, parameter[1])
            example = self.examples.path_value(route, parameter[1])
            if value or parameter[1] not in _USER_IDS:
                target = found.target if found and value else "other"
            else:
                example = owner.public_id
            path = path.replace(parameter[0], value or example or random_id(), 1)
        return Place(path, target)

    async def body(self, route: ApiRoute, account: Account, *, varied: int = 0) -> Body | None:
        """Return the example of the body, in which the ids are those of the account's objects.

        `varied` (`MOST_VARIED`): with other texts, and the ids of new objects, because a rule may
        refuse the second use of an object.
        """
        body = self.examples.body(route, account)
        if body is None:
            return None
        known = self._found
        if varied:
            body = self.examples.varied(body, varied)
            # Those without an object may be about to get one, by this request.
            self._found = {key: found for key, found in known.items() if found is None}
        try:
            value = await self._with_ids(body.value, account)
        finally:
            self._found = known
        return body._replace(value=await self._api.example_body(route.name, value, account))

    async def accepted(self, route: ApiRoute, value: Any, account: Account) -> Any:
        """Return a documented example with what it cannot know: ids, and the project's values."""
        known = await self._with_ids(value, account)
        return await self._api.example_body(route.name, known, account)

    async def send(
        self, route: ApiRoute, account: Account, path: str, *, varied: int = 0
    ) -> Response:
        """Send the example of a route, in other words if it is taken."""

        async def send(degree: int) -> Response:
            body = await self.body(route, account, varied=degree)
            arguments: dict[str, Any] = {"params": self.examples.query(route)}
            arguments |= body.arguments() if body else {}
            arguments["headers"] = account.headers | arguments.get("headers", {})
            return await self._api.client.request(route.method, path, **arguments)

        return await sent(send, varied=varied)

    async def _object_in(self, collection: str, path: str, owner: Account) -> Found | None:
        key = owner.public_id, path
        if key not in self._found:
            self._found[key] = None  # an object that refers to its own kind gets an unknown id
            self._found[key] = await self._created(collection, path, owner) or await self._listed(
                collection, path, owner
            )
        return self._found[key]

    async def _created(self, collection: str, path: str, owner: Account) -> Found | None:
        route = self.routes.get(f"POST {collection}")
        if route is None:
            return None
        response = await self.send(route, owner, path)
        is_read = response.status_code not in {400, 415, 422}
        assert is_read, f"{route.name}: {response.text}: cannot create an object; {REMEDY}"
        if response.status_code == 409:
            found = await self._listed(collection, path, owner)
            assert found, f"{route.name}: {refusal(response)}: cannot create an object; {REMEDY}"
            return found
        target: Target = "own"
        if response.status_code == 403:
            response = await self.send(route, await self._other("administrator"), path)
            target = "other"
        return _new_part(_found_in(response, target), path)

    async def _listed(self, collection: str, path: str, owner: Account) -> Found | None:
        route = self.routes.get(f"GET {collection}")
        if route is None:
            return None
        response = await self.send(route, owner, path)
        if response.status_code == 403:
            listed = await self.send(route, await self._other("administrator"), path)
            return _found_in(listed, "other", public_id=owner.public_id)
        found = _found_in(response, "own")
        listed = await self.send(route, await self._other("user"), path)
        is_shown = found is not None and found.fields in _rows_of(listed)
        return found._replace(target="other") if found and is_shown else found

    async def _other(self, kind: Caller) -> Account:
        """Return an account that owns nothing."""
        if kind not in self._others:
            is_user = kind == "user"
            self._others[kind] = await (
                self._api.register() if is_user else self._api.register_admin()
            )
        return self._others[kind]

    async def _with_ids(self, value: Any, account: Account) -> Any:
        """Return a value of JSON in which `book_id` is the id of one of the account's books."""
        if isinstance(value, list):
            return [await self._with_ids(each, account) for each in value]
        if not isinstance(value, dict):
            return value
        known = {name: await self._with_ids(inner, account) for name, inner in value.items()}
        for name, inner in known.items():
            if inner == EXAMPLES["uuid"] or (name.endswith("_id") and isinstance(inner, str)):
                known[name] = await self._id_of(name, account) or inner
        return known

    async def _id_of(self, field: str, account: Account) -> str | None:
        noun = field.removesuffix("_id").removesuffix("_public").replace("_", "-")
        plurals = {noun, f"{noun}s", f"{noun}es", f"{noun[:-1]}ies"}
        for route in self.routes.values():
            is_collection = route.method == "POST" and "{" not in route.path
            if is_collection and route.path.rpartition("/")[2] in plurals:
                found = await self._object_in(route.path, route.path, account)
                return None if found is None else _id_in(found.fields, field)
        return account.public_id if field in _USER_IDS else None


async def sent(send: Callable[[int], Awaitable[Response]], *, varied: int = 0) -> Response:
    """Send a request, and while it is refused as taken (409) send it with a body that differs more.

    If none is accepted, the response is the first one.
    """
    response = await send(varied)
    while response.status_code == 409 and varied < MOST_VARIED:
        varied += 1
        other = await send(varied)
        response = other if other.is_success else response
    return response


def refusal(response: Response) -> str:
    """Return the status of a response, and the code of its error."""
    code = code_of(response)
    return f"{response.status_code} {code}" if code else str(response.status_code)


def shown_rows(response: Response) -> int | None:
    """Return the number of rows in a response, or None if it is no list."""
    data = _data_of(response.json()) if response.is_success else []
    return len(data) if isinstance(data, list) else None


def _found_in(response: Response, target: Target, *, public_id: str = "") -> Found | None:
    """Return the object of a response, or of a list the one with this id, or else the first."""
    rows = _rows_of(response)
    chosen = [row for row in rows if row.get("public_id") == public_id] or rows
    return Found(chosen[0], target) if chosen else None


def _new_part(found: Found | None, path: str) -> Found | None:
    """Return the object that was created at a path, also if the response shows the one above it.

    `POST orders/{public_id}/lines` may return the order: the new line is the last of its `lines`.
    """
    ids = [found.fields.get(name) for name in _IDS] if found else []
    if found is None or not any(segment in ids for segment in path.split("/")):
        return found
    parts = found.fields.get(path.rpartition("/")[2].replace("-", "_"))
    rows = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return found._replace(fields=rows[-1]) if rows else None


def _rows_of(response: Response) -> list[Mapping[str, Any]]:
    """Return the objects in a response; a refused request has none."""
    data = _data_of(response.json()) if response.is_success and response.content else []
    return data if isinstance(data, list) else [data]


def _data_of(body: Any) -> Any:
    """Return the object or list in a response, whatever the envelope around it."""
    if not isinstance(body, dict):
        return body
    if "data" in body:
        return body["data"]
    inner = [value for value in body.values() if isinstance(value, dict | list)]
    if len(inner) == 1 and (len(body) == 1 or _are_counts(body, inner[0])):
        return inner[0]
    return body


def _are_counts(body: Mapping[str, Any], rows: Any) -> bool:
    """Return whether all but the rows are numbers: {"articles": [...], "articlesCount": 1}."""
    others = {name: value for name, value in body.items() if value is not rows}
    has_id = any(name in others for name in _IDS)
    return (
        isinstance(rows, list)
        and not has_id
        and all(isinstance(value, int) for value in others.values())
    )


def _id_in(fields: Mapping[str, Any], parameter: str) -> str | None:
    values = [fields[name] for name in (parameter, *_IDS) if fields.get(name) is not None]
    return str(values[0]) if values else None
