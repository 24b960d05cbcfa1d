"""The command line: its top level, and the handling of errors.

A failed command prints one line to standard error and exits with a status other than 0.
"""

import sys
from typing import Any, Final, NoReturn

import typer
from typer.core import TyperGroup

from mscr.cli.faults import Fault
from mscr.core.exceptions import APIError
from mscr.project import Project

USAGE_ERROR: Final = 2


class CommandLine(TyperGroup):
    """The top level. Unexpected errors keep their traceback, for a bug report.

    An unusable configuration exits in `get_settings`, which prints its own lines.
    """

    def main(self, *args: Any, **options: Any) -> NoReturn:
        try:
            status = super().main(*args, **options | {"standalone_mode": False})
        except typer.Abort:
            _exit_with("aborted")
        except typer.TyperException as error:
            hint = "; see --help" if error.exit_code == USAGE_ERROR else ""
            _exit_with(error.format_message().rstrip(".?") + hint, error.exit_code)
        except APIError as error:
            _exit_with(error.detail)
        except UnicodeDecodeError:
            _exit_with("the input is not UTF-8 text")
        except OSError as error:
            _exit_with(str(error))
        sys.exit(status or 0)


def command_line(project: Project, *groups: typer.Typer, about: str) -> typer.Typer:
    """Return the top level with these groups of commands. They get `project` by `project_of`."""
    app = typer.Typer(
        cls=CommandLine,
        help=about,
        context_settings={"obj": project},
        invoke_without_command=True,
        add_completion=False,
        # The pretty tracebacks print local variables, including passwords.
        pretty_exceptions_enable=False,
    )
    app.callback()(_show_help)
    for group in groups:
        app.add_typer(group)
    return app


def project_of(context: typer.Context) -> Project:
    """Return the project of the command line."""
    project: Project = context.obj
    return project


def _show_help(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _exit_with(line: str, status: int = Fault.exit_code) -> NoReturn:
    print(f"Error: {line}", file=sys.stderr)
    sys.exit(status)
