"""Routes: what the application answers to, and whom."""
# ruff: noqa: PLC0415

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import say_json, say_table

if TYPE_CHECKING:
    from fastapi.dependencies.models import Dependant

commands = typer.Typer()


@commands.command()
def routes(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the routes, and who may call them: everybody, users, or who has a permission."""
    rows = list(_rows())
    if as_json:
        say_json(rows)
        return
    columns = ("method", "path", "name", "access")
    say_table(columns, [[row[column] for column in columns] for row in rows])


def _rows() -> Iterator[dict[str, str]]:
    from fastapi.routing import iter_route_contexts

    from app.core.config import get_settings
    from app.main import app

    root = get_settings().ROOT_PATH
    for route in iter_route_contexts(app.routes):
        for method in sorted(route.methods or {"ANY"}):
            yield {
                "method": method,
                "path": f"{root}{route.path or ''}",
                "name": getattr(route, "operation_id", None) or route.name or "",
                "access": _access(getattr(route, "dependant", None)),
            }


def _access(dependant: "Dependant | None") -> str:
    from fastapi.security.base import SecurityBase

    dependencies = list(_dependencies(dependant)) if dependant else []
    permissions = {scope for found in dependencies for scope in found.own_oauth_scopes or ()}
    if permissions:
        return ", ".join(sorted(permissions))
    guarded = any(isinstance(found.call, SecurityBase) for found in dependencies)
    return "user" if guarded else "public"


def _dependencies(dependant: "Dependant") -> "Iterator[Dependant]":
    for dependency in dependant.dependencies:
        yield dependency
        yield from _dependencies(dependency)
