"""From nothing to a database to develop with: the schema by its migrations, then the first rows."""

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.config import PROJECT_ROOT, Settings
from app.core.exceptions import EmailTakenError
from app.core.security.password import PasswordService
from app.models.audit_event import AuditAction
from app.models.base import utcnow
from app.models.item import ItemStatus
from app.models.user import User, UserRole
from app.repositories.item_repository import ItemRepository
from app.repositories.user_repository import UserRepository
from app.services.audit_event_service import AuditTrail, Parties

ADMIN_EMAIL: Final = "admin@example.com"
USER_EMAIL: Final = "user@example.com"
DEMO_ITEMS: Final = 20
# Every so many items of the demo data is deleted, so that there is something to restore.
DELETED_EVERY: Final = 10
SEED_STEPS: Final = 2 + DEMO_ITEMS


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """An account with its password, which nobody can read again."""

    email: str
    password: str
    role: UserRole


def alembic_config(url: str | None = None) -> Config:
    """Alembic's configuration: for the database of the settings, or for another one."""
    config = Config(PROJECT_ROOT / "alembic.ini")
    if url is not None:
        config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def init_db() -> list[str]:
    """Bring the database to the newest migration. Returns what was applied, oldest first.

    Any number of processes may do this at once: one migrates, the others find nothing to do.
    """
    steps = _AppliedMigrations()
    log = logging.getLogger("alembic.runtime.migration")
    level = log.level
    log.addHandler(steps)
    log.setLevel(logging.INFO)
    try:
        command.upgrade(alembic_config(), "head")
    finally:
        log.removeHandler(steps)
        log.setLevel(level)
    return steps.names


async def is_empty(session: AsyncSession) -> bool:
    """Whether the database never had a user."""
    return not await UserRepository(session).exists(include_deleted=True)


async def seed_demo_data(
    session: AsyncSession,
    settings: Settings,
    audit: AuditTrail,
    *,
    on_step: Callable[[int], None],
) -> list[DemoAccount]:
    """Add two accounts with generated passwords, and items in every state, in one transaction.

    Returns the accounts; none when there is one of them already, and then nothing was changed.
    `on_step` is called `SEED_STEPS` times.
    """
    accounts = [
        DemoAccount(ADMIN_EMAIL, _password(settings), UserRole.ADMIN),
        DemoAccount(USER_EMAIL, _password(settings), UserRole.USER),
    ]
    # Before the first query: no connection waits for it.
    hashes = await _hashes(accounts, settings, on_step)
    users = UserRepository(session)
    try:
        owners = [
            await users.create_user(
                email=account.email,
                full_name=f"Demo {account.role.value}",
                password_hash=password_hash,
                role=account.role,
            )
            for account, password_hash in zip(accounts, hashes, strict=True)
        ]
    except EmailTakenError:
        await users.rollback()
        return []
    for owner in owners:
        await audit.record(AuditAction.CREATE_USER, Parties(account=owner.public_id))
    await _add_items(ItemRepository(session), owners, on_step)
    await users.commit()
    return accounts


async def _hashes(
    accounts: list[DemoAccount], settings: Settings, on_step: Callable[[int], None]
) -> list[str]:
    passwords = PasswordService(settings)
    hashes = []
    for account in accounts:
        hashes.append(await passwords.hash(account.password))
        on_step(1)
    passwords.close()
    return hashes


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
            # Spread over days, so that sorting shows something.
            created_at=now - timedelta(days=DEMO_ITEMS - number),
        )
        if number % DELETED_EVERY == 0:
            await items.soft_delete(item)
        on_step(1)


def _password(settings: Settings) -> str:
    # Each byte gives more than one character.
    return secrets.token_urlsafe(max(16, settings.PASSWORD_MIN_LENGTH))


class _AppliedMigrations(logging.Handler):
    """Collects which migrations this process ran, and prints what they warn of."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING and logging.lastResort is not None:
            logging.lastResort.handle(record)
        verb, _, names = record.getMessage().partition(" -> ")
        if verb.startswith("Running upgrade"):
            self.names.append(names)
