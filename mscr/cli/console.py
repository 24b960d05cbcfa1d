"""Output of commands: results to standard output, progress and remarks to standard error."""
# ruff: noqa: PLC0415

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mscr.services.demo_accounts import DemoAccount

# Pipes and files have no width: their lines must not be folded.
UNBOUNDED: Final = 10_000


def say(line: str) -> None:
    # Flush, also into a pipe: `dev` prints its URL, and then runs for hours.
    print(line, flush=True)


def remark(line: str) -> None:
    print(line, file=sys.stderr)


def say_json(data: Any) -> None:
    print(json.dumps(data, indent=2))


def say_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        # `Text`, so that brackets in a name are not interpreted as markup.
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else UNBOUNDED).print(table)


def say_accounts(accounts: "Iterable[DemoAccount]") -> None:
    for account in accounts:
        say(f"  {account.email:<20} {account.password}  ({account.role.value})")


@contextmanager
def progress(label: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar, on a terminal only. Yields a function that adds completed steps."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(label, total=total)
        yield lambda steps: bar.advance(task, steps)


def printable(text: str) -> str:
    """Escape control characters: user input could contain escape sequences for the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
