"""All kinds of answers that the application gives, collected from every route."""

from collections.abc import Collection, Iterator
from typing import Any, Final, NamedTuple

from httpx2 import Response

from tests.support.api import Account, Api
from tests.support.routes import (
    CALLERS,
    QUERIES,
    SAFE_METHODS,
    Caller,
    RouteCaller,
    body_for,
    body_of,
    headers_of,
    method_of,
    path_for,
    random_id,
)

# What replaces a part of an acceptable request, by an administrator, who gets furthest.
# The first ones only below /api: health and the documentation read no query.
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
    """`route` is empty where no route answered: another verb, no such path, or too large.

    `caller` is empty where something is wrong with the request.
    """

    route: str
    response: Response
    caller: Caller | None = None


async def crawl(api: Api, routes: Collection[str]) -> list[Answer]:
    """The answers of the routes to every kind of caller, and to requests that are wrong somewhere.

    Where a path names something, it is there for the callers, and not for the wrong requests.
    """
    await api.register_admin()  # so that no other administrator is the last one
    caller = RouteCaller(api)
    answers = [
        Answer(route, await caller.call(route, kind), kind) for kind in CALLERS for route in routes
    ]
    admin = await api.register_admin()
    for route in routes:
        answers += [Answer("", await _vary(api, admin, route, v)) for v in OFF_ROUTE]
        variants = _variants(route, admin)
        answers += [Answer(route, await _vary(api, admin, route, v)) for v in variants]
        last = await _vary(api, admin, route, {})
        answers.append(Answer(route, last))
        if last.is_success and method_of(route) not in SAFE_METHODS:
            admin = await api.register_admin()  # the session may be over
    return answers


def _variants(route: str, account: Account) -> Iterator[dict[str, Any]]:
    if route.startswith("GET /api/"):
        yield from QUERY_VARIANTS
    if body_for(route, account) is not None:
        yield from BODY_VARIANTS


async def _vary(api: Api, admin: Account, route: str, variant: dict[str, Any]) -> Response:
    path = path_for(route, user=random_id(), item=random_id(), tag=random_id()) + variant.get(
        "path", ""
    )
    request = {
        "params": QUERIES.get(route),
        **body_of(route, admin),
        **{name: value for name, value in variant.items() if name not in {"method", "path"}},
        "headers": admin.headers | headers_of(route) | variant.get("headers", {}),
    }
    return await api.client.request(variant.get("method", method_of(route)), path, **request)
