"""The command `routes`: list the routes and who may call them."""
# ruff: noqa: PLC0415

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from mscr.cli.command_line import project_of
from mscr.cli.console import say_json, say_table

if TYPE_CHECKING:
    from fastapi.dependencies.models import Dependant

    from mscr.project import Project

commands = typer.Typer()


@commands.command()
def routes(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the routes and who may call them: everybody, users, or holders of a permission."""
    rows = list(_rows(project_of(context)))
    if as_json:
        say_json(rows)
        return
    columns = ("method", "path", "name", "access")
    say_table(columns, [[row[column] for column in columns] for row in rows])


def _rows(project: "Project") -> Iterator[dict[str, str]]:
    from fastapi.routing import iter_route_contexts

    settings = project.get_settings()
    for route in iter_route_contexts(project.create_app(settings).routes):
        for method in sorted(route.methods or {"ANY"}):
            yield {
                "method": method,
                "path": f"{settings.ROOT_PATH}{route.path or ''}",
                "name": getattr(route, "operation_id", None) or route.name or "",
                "access": _access(getattr(route, "dependant", None)),
            }


def _access(dependant: "Dependant | None") -> str:
    from fastapi.security.base import SecurityBase

    from mscr.http.anonymous import access_of

    dependencies = list(_dependencies(dependant)) if dependant else []
    permissions = {scope for found in dependencies for scope in found.own_oauth_scopes or ()}
    if permissions:
        return ", ".join(sorted(permissions))
    if dependant and access_of(dependant) == "optional":
        return "user or public"
    guarded = any(isinstance(found.call, SecurityBase) for found in dependencies)
    return "user" if guarded else "public"


def _dependencies(dependant: "Dependant") -> "Iterator[Dependant]":
    for dependency in dependant.dependencies:
        yield dependency
        yield from _dependencies(dependency)
