"""Commands that change the project's own files."""
# ruff: noqa: PLC0415

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mscr.cli.command_line import project_of
from mscr.cli.console import remark, say
from mscr.cli.database_sessions import open_session
from mscr.cli.faults import Fault

if TYPE_CHECKING:
    from mscr.project import Project
    from mscr.scaffold.changes import Changes

NEXT: Final = "make record && make check && make test"

commands = typer.Typer()
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the changes, and write nothing.")]


@commands.command("remove-example")
def remove_example(
    context: typer.Context,
    yes: Yes = False,
    dry_run: DryRun = False,
    drop_table: Annotated[
        bool,
        typer.Option(
            "--drop-table",
            help="Other databases have the table: drop it by a migration in any case.",
        ),
    ] = False,
) -> None:
    """Remove the example resource from code, tests, migrations, docs and OpenAPI."""
    from mscr.scaffold.example_migrations import remove_from_history
    from mscr.scaffold.remove_example import CannotRemoveError, Removal, read_example
    from mscr.scaffold.trial import FailedTrialError, output_after

    project = project_of(context)
    try:
        example = read_example(project.root, project.package)
        removal = Removal(project.root, project.package, example)
        has_table = drop_table or _has_table(project, example.table)
        history = remove_from_history(removal.changes, example, has_table=has_table)
        document = output_after(removal.changes, project.package, "openapi")
    except CannotRemoveError as error:
        raise Fault("\n".join(error.lines)) from error
    except FailedTrialError as error:
        raise Fault(f"without the example, the application does not start: {error}") from error
    removal.changes.write("openapi.json", document)
    for line in removal.left:
        remark(f"left to you: {line}")
    question = f"Remove the example? It also {history.words}."
    if not history.is_longer:
        question += " If another database has, pass --drop-table."
    if not _write(removal.changes, question, yes=yes, dry_run=dry_run):
        return
    say(f"removed the example; it {history.words}")
    say(f"next: {'alembic upgrade head && ' if history.is_longer else ''}{NEXT}")


@commands.command("rename-project")
def rename_project(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The new name, such as 'Blue Shop'.")],
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Give the project another name in its settings, docs, OpenAPI, package and deployment."""
    from mscr.scaffold.rename_project import UnusableNameError, rename
    from mscr.scaffold.trial import FailedTrialError

    project = project_of(context)
    try:
        changes = rename(project.root, project.package, name)
    except UnusableNameError as error:
        raise Fault(str(error)) from error
    except FailedTrialError as error:
        raise Fault(f"with this name, the application does not start: {error}") from error
    if _write(changes, f"Rename the project to {name}?", yes=yes, dry_run=dry_run):
        say(f"renamed the project to {name}, in {', '.join(changes.written)}")


def _write(changes: "Changes", question: str, *, yes: bool, dry_run: bool) -> bool:
    """Write the changes if the user agrees. Return whether they were written."""
    if dry_run:
        say(changes.diff())
        # The last line of thousands: a diff does not say why there is a migration more or less.
        remark(f"{len([*changes])} files would change; nothing was written. It asks: {question}")
        return False
    if uncommitted := changes.uncommitted():
        raise Fault(
            f"uncommitted changes would be lost in {', '.join(uncommitted)}", "commit them first"
        )
    if not yes:
        typer.confirm(question, abort=True)
    changes.apply()
    return True


def _has_table(project: "Project", table: str) -> bool:
    """Return whether the configured database has the table. Raises `Fault` if it is unusable."""
    env_file = Path(os.environ.get("ENV_FILE", project.root / ".env"))
    if "DATABASE_URL" not in os.environ and not env_file.exists():
        # No command has used a database yet.
        return False
    url = project.get_settings().database_url
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        return False
    return asyncio.run(_look_for_table(project, table))


async def _look_for_table(project: "Project", table: str) -> bool:
    from sqlalchemy import inspect

    async with open_session(project, read_only=True) as session:
        connection = await session.connection()
        return await connection.run_sync(lambda sync: inspect(sync).has_table(table))
