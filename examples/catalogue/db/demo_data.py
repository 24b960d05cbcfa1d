"""The first rows of a database to develop with."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from examples.catalogue.core.config import Settings
from examples.catalogue.models import ItemStatus, UserRole
from examples.catalogue.repositories.item_repository import ItemRepository
from examples.catalogue.repositories.tag_repository import TagRepository
from examples.catalogue.repositories.user_repository import UserRepository
from mscr.services.audit_event_service import AuditTrail
from mscr.services.demo_accounts import DemoAccount, add_demo_accounts, demo_password

ADMIN_EMAIL: Final = "admin@example.com"
USER_EMAIL: Final = "user@example.com"
ITEMS: Final = 20


async def seed(session: AsyncSession, settings: Settings, audit: AuditTrail) -> list[DemoAccount]:
    """Add two accounts and their items, in one transaction. Return the accounts.

    Return none, and change nothing, if one of them already exists.
    """
    accounts = [
        DemoAccount(email, demo_password(settings), role, {"role": role})
        for email, role in ((ADMIN_EMAIL, UserRole.ADMIN), (USER_EMAIL, UserRole.USER))
    ]
    users = UserRepository(session)
    owners = await add_demo_accounts(users, audit, accounts, settings, on_step=lambda _: None)
    if not owners:
        return []
    items, tags, states = ItemRepository(session), TagRepository(session), list(ItemStatus)
    for number in range(1, ITEMS + 1):
        owner, status = owners[number % len(owners)], states[number % len(states)]
        tagged = await tags.obtain(owner.id, [status.value])
        await items.create_for_owner(owner.id, tagged, title=f"Demo {number}", status=status)
    await users.commit()
    return accounts
