"""A crawl of every route that collects responses of every kind."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from fastapi import FastAPI
from httpx2 import Response

from mscr.http.media_types import JSON_TYPE
from mscr.testing.api import Account, Api
from mscr.testing.objects import Target
from mscr.testing.route_caller import RouteCaller
from mscr.testing.routes import CALLERS, ApiRoute, Caller, random_id

# Each variant replaces a part of a valid request of an administrator, who passes every permission
# check. Queries vary only below /api: health and the documentation read no query.
QUERY_VARIANTS: Final[tuple[dict[str, Any], ...]] = (
    {"params": {"limit": "1", "q": "thing"}},
    {"params": {"limit": "1"}},
    {"params": {"page": "1", "cursor": "x"}},
    {"params": {"cursor": "x"}},
    {"params": {"cursor": "x", "q": "thing"}},
)
BODY_VARIANTS: Final[tuple[dict[str, Any], ...]] = (
    {"json": {"unknown": 1}},
    {"json": []},
    {"json": None, "content": b"{", "headers": {"Content-Type": "application/json"}},
    {"json": None, "content": b"[" * 100_000, "headers": {"Content-Type": "application/json"}},
    {"json": None, "content": b"title=a", "headers": {"Content-Type": "text/plain"}},
)
OFF_ROUTE: Final[tuple[dict[str, Any], ...]] = (
    {"json": None, "headers": {"Content-Length": "100000000"}},
    {"path": "/not-a-uuid"},
    {"path": "/"},
    {"method": "PUT"},
)


class Answer(NamedTuple):
    """`route` is empty if no route was reached: another verb, an unknown path, or too large a body.

    `caller` is None if the request is faulty. `target` is what the path names.
    """

    route: str
    response: Response
    caller: Caller | None = None
    target: Target = "none"


async def crawl(api: Api, app: FastAPI) -> list[Answer]:
    """Return the responses of the routes to every kind of caller, and to faulty requests.

    If a path names an object, it exists for the callers, and does not for the faulty requests.
    """
    await api.register_admin()  # so that no other administrator is the last one
    caller = RouteCaller(api, app)
    answers = [await _answer(caller, route, kind) for kind in CALLERS for route in caller.routes]
    admin = await api.register_admin()
    for route in caller.routes.values():
        answers += [Answer("", await _vary(api, caller, admin, route, v)) for v in OFF_ROUTE]
        variants = _variants(route)
        answers += [Answer(route.name, await _vary(api, caller, admin, route, v)) for v in variants]
        last = await _vary(api, caller, admin, route, {})
        answers.append(Answer(route.name, last))
        if last.is_success and not route.is_safe:
            admin = await api.register_admin()  # the request may have ended the session
    return answers


async def _answer(caller: RouteCaller, route: str, kind: Caller) -> Answer:
    place = (await caller.prepare(route, kind)).place
    return Answer(route, await caller.call(route, kind), kind, place.target)


def _variants(route: ApiRoute) -> Iterator[dict[str, Any]]:
    if route.name.startswith("GET /api/"):
        yield from QUERY_VARIANTS
    if JSON_TYPE in route.operation.get("requestBody", {}).get("content", {}):
        yield from BODY_VARIANTS


async def _vary(
    api: Api, caller: RouteCaller, admin: Account, route: ApiRoute, variant: dict[str, Any]
) -> Response:
    examples = caller.objects.examples
    body = examples.body(route, admin)
    whole = {"params": examples.query(route), **(body.arguments() if body else {})}
    request = {
        **whole,
        **{name: value for name, value in variant.items() if name not in {"method", "path"}},
        "headers": admin.headers | whole.get("headers", {}) | variant.get("headers", {}),
    }
    path = route.path_with(random_id()) + variant.get("path", "")
    return await api.client.request(variant.get("method", route.method), path, **request)
