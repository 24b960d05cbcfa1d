"""Find the changes of an OpenAPI document that break clients generated from the old one.

Additions do not break clients: operations, optional parameters and fields, fields and values in
responses, statuses. Removals and additional requirements do.
"""

from collections.abc import Iterator
from typing import Any

from mscr.cli.schema_changes import Direction, Schema, SchemaComparison

Operations = dict[str, Schema]


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """Return one line per breaking change, sorted."""
    comparison = _Comparison(old, new)
    return sorted(set(comparison.changes()))


class _Comparison:
    def __init__(self, old: Schema, new: Schema) -> None:
        self._old = old
        self._new = new

    def changes(self) -> Iterator[str]:
        before, after = _operations(self._old), _operations(self._new)
        for route, old in before.items():
            if route in after:
                yield from self._operation(route, old, after[route])
            else:
                yield f"{route}: removed"

    def _operation(self, route: str, old: Schema, new: Schema) -> Iterator[str]:
        if old.get("operationId") != new.get("operationId"):
            yield f"{route}: operation id {old['operationId']} became {new.get('operationId')}"
        yield from _security(route, old.get("security"), new.get("security"))
        yield from self._parameters(route, old, new)
        yield from self._body(f"{route}, body", old.get("requestBody"), new.get("requestBody"))
        for status, response in old["responses"].items():
            at = f"{route}, {status}"
            if status in new["responses"]:
                yield from self._response(at, response, new["responses"][status])
            else:
                yield f"{at}: removed"

    def _parameters(self, route: str, old: Schema, new: Schema) -> Iterator[str]:
        before, after = _parameters(old), _parameters(new)
        for at in before.keys() - after.keys():
            yield f"{route}, {at}: removed"
        for at, parameter in after.items():
            was_required = at in before and before[at].get("required", False)
            if parameter.get("required", False) and not was_required:
                yield f"{route}, {at}: required now"
            if at in before:
                yield from self._schemas(before[at], parameter, f"{route}, {at}", Direction.REQUEST)

    def _body(self, at: str, old: Schema | None, new: Schema | None) -> Iterator[str]:
        if old is None or new is None:
            if new is not None and new.get("required", False):
                yield f"{at}: required now"
            if old is not None:
                yield f"{at}: removed"
            return
        if new.get("required", False) and not old.get("required", False):
            yield f"{at}: required now"
        yield from self._media(at, old, new, Direction.REQUEST)

    def _response(self, at: str, old: Schema, new: Schema) -> Iterator[str]:
        for name in old.get("headers", {}).keys() - new.get("headers", {}).keys():
            yield f"{at}, header {name}: removed"
        yield from self._media(at, old, new, Direction.RESPONSE)

    def _media(self, at: str, old: Schema, new: Schema, direction: Direction) -> Iterator[str]:
        after = new.get("content", {})
        for kind, media in old.get("content", {}).items():
            if kind in after:
                yield from self._schemas(media, after[kind], at, direction)
            else:
                yield f"{at}: {kind} removed"

    def _schemas(self, old: Schema, new: Schema, at: str, direction: Direction) -> Iterator[str]:
        comparison = SchemaComparison(self._old, self._new, direction)
        yield from comparison.changes(old.get("schema", {}), new.get("schema", {}), at)


def _operations(document: Schema) -> Operations:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def _parameters(operation: Schema) -> Operations:
    return {f"{each['in']} {each['name']}": each for each in operation.get("parameters", [])}


def _security(route: str, old: list[Any] | None, new: list[Any] | None) -> Iterator[str]:
    """Yield a line for each old way to authenticate that now requires more."""
    # Anonymous access is a way that requires nothing.
    ways = new or [{}]
    for way in old or [{}]:
        if not any(_asks_no_more(other, way) for other in ways):
            yield f"{route}: requires more than {_named(way)}"


def _asks_no_more(way: dict[str, list[str]], than: dict[str, list[str]]) -> bool:
    return all(name in than and set(scopes) <= set(than[name]) for name, scopes in way.items())


def _named(way: dict[str, list[str]]) -> str:
    if not way:
        return "nothing"
    return ", ".join(" ".join([name, *scopes]) for name, scopes in way.items())
