"""The table of attempts and their outcomes."""

from httpx2 import AsyncClient
from rich.console import Console
from rich.table import Table

from mscr.tests.attack.attempts import attack


async def report(client: AsyncClient) -> int:
    """Run all attempts and print the table. Return 1 if any of them succeeded, else 0."""
    table = Table("kind", "what", "status", "")
    attempts = [attempt async for attempt in attack(client)]
    for attempt in attempts:
        verdict = "held" if attempt.held else "OPEN"
        table.add_row(attempt.kind, attempt.what, attempt.status, verdict)
    console = Console(width=120, highlight=False)
    console.print(table)
    open_doors = sum(not attempt.held for attempt in attempts)
    console.print(f"{len(attempts)} attempts, {open_doors} found a door open")
    return int(open_doors > 0)
