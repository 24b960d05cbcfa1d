"""The first rows of a database to develop with."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from examples.catalogue.core.config import Settings
from examples.catalogue.models.item import ItemStatus
from examples.catalogue.models.user import User, UserRole
from examples.catalogue.repositories.item_repository import ItemRepository
from examples.catalogue.repositories.user_repository import UserRepository
from mscr.models.base import utcnow
from mscr.services.audit_event_service import AuditTrail
from mscr.services.demo_accounts import DemoAccount, add_demo_accounts, demo_password

ADMIN_EMAIL: Final = "admin@example.com"
USER_EMAIL: Final = "user@example.com"
DEMO_ITEMS: Final = 20
# Every n-th demo item is deleted, so that there is something to restore.
DELETED_EVERY: Final = 10
SEED_STEPS: Final = 2 + DEMO_ITEMS


async def seed_demo_data(
    session: AsyncSession,
    settings: Settings,
    audit: AuditTrail,
    *,
    on_step: Callable[[int], None],
) -> list[DemoAccount]:
    """Add two accounts with generated passwords, and items in every state, in one transaction.

    Return the accounts. Return none, and change nothing, if one of them already exists.
    `on_step` is called `SEED_STEPS` times.
    """
    accounts = [
        _account(ADMIN_EMAIL, UserRole.ADMIN, settings),
        _account(USER_EMAIL, UserRole.USER, settings),
    ]
    users = UserRepository(session)
    owners = await add_demo_accounts(users, audit, accounts, settings, on_step=on_step)
    if not owners:
        return []
    await _add_items(ItemRepository(session), owners, on_step)
    await users.commit()
    return accounts


def _account(email: str, role: UserRole, settings: Settings) -> DemoAccount:
    columns = {"full_name": f"Demo {role.value}", "role": role}
    return DemoAccount(email, demo_password(settings), role, columns)


async def _add_items(
    items: ItemRepository, owners: list[User], on_step: Callable[[int], None]
) -> None:
    states = list(ItemStatus)
    now = utcnow()
    for number in range(1, DEMO_ITEMS + 1):
        status = states[number % len(states)]
        item = await items.create(
            owner_id=owners[number % len(owners)].id,
            title=f"Demo item {number}",
            description=f"An item that is {status.value}.",
            status=status,
            # Spread over days, so that sort orders differ.
            created_at=now - timedelta(days=DEMO_ITEMS - number),
        )
        if number % DELETED_EVERY == 0:
            await items.soft_delete(item)
        on_step(1)
