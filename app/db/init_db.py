"""The first rows of a database to develop with."""

from collections.abc import Callable
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.config import Settings
from app.db.demo_items import add_demo_items
from app.models.user import UserRole
from app.repositories.user_repository import UserRepository
from mscr.services.audit_event_service import AuditTrail
from mscr.services.demo_accounts import DemoAccount, add_demo_accounts, demo_password

ADMIN_EMAIL: Final = "admin@example.com"
USER_EMAIL: Final = "user@example.com"
SEED_STEPS: Final = 2


async def seed_demo_data(
    session: AsyncSession,
    settings: Settings,
    audit: AuditTrail,
    *,
    on_step: Callable[[int], None],
) -> list[DemoAccount]:
    """Add two accounts with generated passwords, and their demo data, in one transaction.

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
    await add_demo_items(session, owners)
    await users.commit()
    return accounts


def _account(email: str, role: UserRole, settings: Settings) -> DemoAccount:
    columns = {"full_name": f"Demo {role.value}", "role": role}
    return DemoAccount(email, demo_password(settings), role, columns)
