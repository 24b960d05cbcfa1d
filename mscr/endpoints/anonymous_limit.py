"""The rate limit of anonymous clients (API_RATE_LIMIT), for routes not marked `unlimited`."""

from fastapi import FastAPI, Request
from fastapi.routing import iter_route_contexts

from mscr.endpoints.requests import client_of, collaborators_of
from mscr.http.anonymous import is_limited_by_address, leave_out


async def count_anonymous(request: Request) -> None:
    """Count the request against its address, on a route without a caller (API_RATE_LIMIT).

    A dependency of every route. Raises `TooManyRequestsError`.
    """
    if _is_limited_by_address(request.app, request.scope["route"]):
        await collaborators_of(request).requests.count_anonymous(client_of(request).address)


def _is_limited_by_address(app: FastAPI, route: object) -> bool:
    """Return whether to count requests of this route. On a route without the limit, remove it.

    The result is cached.
    """
    # Cached per application: several may include the same route.
    known: dict[int, bool] = app.state.limited_by_address
    if id(route) not in known:
        # A router may be included with dependencies that the route itself does not have.
        contexts = iter_route_contexts(app.routes)
        dependants = [each.dependant for each in contexts if each.original_route is route]
        known[id(route)] = any(map(is_limited_by_address, dependants))
        for each in dependants:
            if not is_limited_by_address(each):
                # Even a dependency that does nothing takes time.
                leave_out(each, count_anonymous)
    return known[id(route)]
