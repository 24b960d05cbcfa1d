"""Rate limiting of anonymous clients: on every route, unless it is marked as unlimited."""

from collections.abc import Callable, Iterator
from typing import Any, Final, Literal, TypeVar

from fastapi.dependencies.models import Dependant

from mscr.http.bearer import BearerDependency, OptionalBearerDependency

CallT = TypeVar("CallT", bound=Callable[..., Any])

# Whether a route requires a caller, accepts one, or has none.
Access = Literal["required", "optional", "open"]
_UNLIMITED: Final[set[Any]] = set()


def unlimited(call: CallT) -> CallT:
    """Decorate a route or dependency whose anonymous clients are not rate limited.

    Use it for probes, and for routes that limit anonymous clients more strictly themselves.
    """
    _UNLIMITED.add(call)
    return call


def is_limited_by_address(dependant: Dependant) -> bool:
    """Return whether no dependency of the route counts callers, and none is marked `unlimited`."""
    return not any(
        call in _UNLIMITED or isinstance(call, BearerDependency) for call in _calls(dependant)
    )


def access_of(dependant: Dependant) -> Access:
    """Return whether a route requires a caller, accepts one, or has none."""
    bearers = [call for call in _calls(dependant) if isinstance(call, BearerDependency)]
    if not all(isinstance(call, OptionalBearerDependency) for call in bearers):
        return "required"
    return "optional" if bearers else "open"


def leave_out(dependant: Dependant, call: Callable[..., Any]) -> None:
    """Remove a dependency that returns nothing from a route."""
    # Make a new list: the current request may be iterating over the old one.
    dependant.dependencies = [each for each in dependant.dependencies if each.call is not call]


def _calls(dependant: Dependant) -> Iterator[Any]:
    yield dependant.call
    for dependency in dependant.dependencies:
        yield from _calls(dependency)
