"""How a command ends: quietly, or with one line on standard error and a status that is not 0."""

import sys
from typing import Any, Final, NoReturn

import typer
from typer.core import TyperGroup

from app.cli.faults import Fault
from app.core.exceptions import APIError

USAGE_ERROR: Final = 2


class CommandLine(TyperGroup):
    """The top level. What is not expected to go wrong keeps its traceback: it is for a bug report.

    A configuration that is not usable ends the process in `get_settings`, with its own lines.
    """

    def main(self, *args: Any, **options: Any) -> NoReturn:
        try:
            status = super().main(*args, **options | {"standalone_mode": False})
        except typer.Abort:
            _end("aborted")
        except typer.TyperException as error:
            hint = "; see --help" if error.exit_code == USAGE_ERROR else ""
            _end(error.format_message().rstrip(".?") + hint, error.exit_code)
        except APIError as error:
            _end(error.detail)
        except UnicodeDecodeError:
            _end("the input is not UTF-8 text")
        except OSError as error:
            _end(str(error))
        sys.exit(status or 0)


def _end(line: str, status: int = Fault.exit_code) -> NoReturn:
    print(f"Error: {line}", file=sys.stderr)
    sys.exit(status)
