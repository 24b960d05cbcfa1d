"""No route and no dependency runs in the thread pool."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from examples.catalogue.main import create_app


def callables(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    if dependant.call is not None:
        yield dependant.call
    for inner in dependant.dependencies:
        yield from callables(inner)


def is_asynchronous(call: Callable[..., Any]) -> bool:
    # The method of a callable object.
    kinds = (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    return any(kind(call) or kind(getattr(call, "__call__", None)) for kind in kinds)  # noqa: B004


def test_no_route_and_no_dependency_runs_in_a_thread() -> None:
    """A callable that is no coroutine runs in a thread, at several times the cost of a call."""
    contexts = iter_route_contexts(create_app().routes)
    called = {
        call
        for context in contexts
        if (dependant := getattr(context, "dependant", None))
        for call in callables(dependant)
    }
    assert len(called) > 40
    assert {call for call in called if not is_asynchronous(call)} == set()
