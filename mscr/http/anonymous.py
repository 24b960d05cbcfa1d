"""Rate limiting of anonymous callers: every route, unless it is marked as unlimited."""

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from fastapi.dependencies.models import Dependant

from app.core.bearer import BearerDependency

CallT = TypeVar("CallT", bound=Callable[..., Any])

_UNLIMITED: Final[set[Any]] = set()


def unlimited(call: CallT) -> CallT:
    """Decorate a route, or a dependency, whose anonymous callers are not to be counted.

    That is for probes, and for what counts them more strictly itself.
    """
    _UNLIMITED.add(call)
    return call


def is_limited_by_address(dependant: Dependant) -> bool:
    """Whether no dependency of the route counts its callers, and none is marked `unlimited`."""
    return not any(
        call in _UNLIMITED or isinstance(call, BearerDependency) for call in _calls(dependant)
    )


def leave_out(dependant: Dependant, call: Callable[..., Any]) -> None:
    """Take a dependency that returns nothing off a route."""
    # A new list: the request at hand may be walking the old one.
    dependant.dependencies = [each for each in dependant.dependencies if each.call is not call]


def _calls(dependant: Dependant) -> Iterator[Any]:
    yield dependant.call
    for dependency in dependant.dependencies:
        yield from _calls(dependency)
