"""First rows, and many: what `seed` and `dev` add."""
# ruff: noqa: PLC0415

from typing import TYPE_CHECKING

from app.cli.console import progress, say
from app.cli.sessions import audit_trail, open_session

if TYPE_CHECKING:
    from app.core.config import Settings
    from app.db.init_db import DemoAccount


async def add_demo_data(settings: "Settings", *, command: str) -> "list[DemoAccount]":
    from app.db.init_db import SEED_STEPS, seed_demo_data

    with progress("seeding", SEED_STEPS) as advance:
        async with open_session() as session:
            audit = audit_trail(session, command)
            return await seed_demo_data(session, settings, audit, on_step=advance)


async def add_many_items(wanted: int) -> int:
    from app.db.many_items import seed_many_items

    with progress("seeding", wanted) as advance:
        async with open_session() as session:
            return await seed_many_items(session, wanted, on_items=advance)


def say_accounts(accounts: "list[DemoAccount]") -> None:
    for account in accounts:
        say(f"  {account.email:<20} {account.password}  ({account.role.value})")
