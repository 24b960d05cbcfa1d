"""Who may call a route: derived from its dependencies, and compared with its responses."""

from collections.abc import Iterable, Iterator, Mapping

from mscr.core.exceptions import InvalidLinkError
from mscr.testing.crawl import Answer
from mscr.testing.problems import code_of
from mscr.testing.routes import ApiRoute

# Refusals of a caller, or of the example itself.
_REFUSED = {400, 401, 403, 404, 405, 413, 415, 422}


def access_faults(routes: Mapping[str, ApiRoute], answers: Iterable[Answer]) -> Iterator[str]:
    """Yield a line for each response to a caller that differs from what the dependencies require.

    - A route without a caller is open.
    - A caller is required: anonymous clients get 401. With an optional one, they are let in.
    - `require_permission`: users without the permission get 403.
    - Another user's object is 404, unless the route is `shared`, or 403 if it is `visible`.
    """
    for answer in answers:
        if answer.caller is not None:
            required = _required(routes[answer.route], answer)
            status = answer.response.status_code
            is_right = _let_in(answer) if required is None else status == required
            if not is_right:
                yield _told(routes[answer.route], answer, required)


def _required(route: ApiRoute, answer: Answer) -> int | None:
    """Return the status of the refusal, or None if the caller is let in."""
    if route.access == "open":
        return None
    if answer.caller == "anonymous" and route.needs_caller:
        return 401
    if route.permissions:
        return 403 if answer.caller == "user" else None
    if answer.target != "own" or route.sharing == "everyone":
        return None
    if route.sharing == "visible":
        return 403
    return 404 if route.sharing is None or answer.caller != "administrator" else None


def _let_in(answer: Answer) -> bool:
    status = answer.response.status_code
    if status == 404:
        return answer.target == "other"
    # No example has the token of a mail: its refusal shows that the service has looked for it.
    is_looked_for = code_of(answer.response) == InvalidLinkError.code
    return is_looked_for or (status < 500 and status not in _REFUSED)


def _told(route: ApiRoute, answer: Answer, required: int | None) -> str:
    told = f"{route.name}: {answer.caller} got {answer.response.status_code}"
    if required is None:
        return f"{told} for its example, and the dependencies let it in: {answer.response.text}"
    if required == 404:
        return (
            f"{told} for another user's object, and should get 404. If others may use it, decorate "
            "the route with @shared() or @shared(Permission...), of mscr.endpoints.permissions."
        )
    return f"{told}, and its dependencies require {required}"
