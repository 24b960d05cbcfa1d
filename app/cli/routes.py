"""Routes: what the application answers to, and whom."""
# ruff: noqa: PLC0415

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from app.cli.console import say_json, say_table

if TYPE_CHECKING:
    from fastapi.dependencies.models import Dependant

# By name: app.core.dependencies is for routers to import. The strictest comes first.
GUARDS: Final = {
    "app.core.dependencies.get_current_admin": "administrator",
    "app.core.dependencies.get_principal": "user",
}
PUBLIC: Final = "public"

commands = typer.Typer()


@commands.command()
def routes(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the routes, and who may call them."""
    rows = list(_rows())
    if as_json:
        say_json(rows)
        return
    columns = ("method", "path", "name", "access")
    say_table(columns, [[row[column] for column in columns] for row in rows])


def _rows() -> Iterator[dict[str, str]]:
    from fastapi.routing import iter_route_contexts

    from app.main import app

    for route in iter_route_contexts(app.routes):
        for method in sorted(route.methods or {"ANY"}):
            yield {
                "method": method,
                "path": route.path or "",
                "name": getattr(route, "operation_id", None) or route.name or "",
                "access": _access(getattr(route, "dependant", None)),
            }


def _access(dependant: "Dependant | None") -> str:
    names = set(_dependencies(dependant)) if dependant else set()
    return next((access for name, access in GUARDS.items() if name in names), PUBLIC)


def _dependencies(dependant: "Dependant") -> Iterator[str]:
    for dependency in dependant.dependencies:
        call: Any = dependency.call
        yield f"{call.__module__}.{getattr(call, '__qualname__', '')}"
        yield from _dependencies(dependency)
