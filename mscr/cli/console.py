"""How results look. They go to standard output, progress and remarks to standard error."""
# ruff: noqa: PLC0415

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

# A pipe or a file has no width: nothing in it shall be folded.
UNBOUNDED: Final = 10_000


def say(line: str) -> None:
    # At once, also into a pipe: `dev` says where it serves, and then goes on for hours.
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
        # `Text`, so that brackets in a person's name are not taken for markup.
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else UNBOUNDED).print(table)


@contextmanager
def progress(label: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, nothing elsewhere. Yields what counts steps that were taken."""
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
    """`text` without control characters, so that what people typed commands no terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
