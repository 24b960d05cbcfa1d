"""Demo accounts with generated passwords."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from typing import Any

from mscr.core.config import Settings
from mscr.core.exceptions import EmailTakenError
from mscr.core.security.password import PasswordService
from mscr.models.audit_event import AuditAction
from mscr.repositories.account_repository import AccountRepository, AccountType
from mscr.services.audit_event_service import AuditTrail, Parties


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """A new demo account with its password, which cannot be read again later."""

    email: str
    password: str
    role: Enum
    columns: Mapping[str, Any]
    """The values of its other columns, the role's among them."""


def demo_password(settings: Settings) -> str:
    """Return a new password that the policy accepts."""
    # Each byte gives more than one character.
    return secrets.token_urlsafe(max(16, settings.PASSWORD_MIN_LENGTH))


async def add_demo_accounts(
    users: AccountRepository[AccountType],
    audit: AuditTrail,
    accounts: Sequence[DemoAccount],
    settings: Settings,
    *,
    on_step: Callable[[int], None],
) -> list[AccountType]:
    """Create demo accounts and return them. The calling code commits.

    Return an empty list, after a rollback, if an address is taken. `on_step` is called once per
    account.
    """
    # Hash before the first query: no connection is held meanwhile.
    hashes = await _hashes(accounts, settings, on_step)
    try:
        created = [
            await users.create_account(
                email=account.email, password_hash=password_hash, **account.columns
            )
            for account, password_hash in zip(accounts, hashes, strict=True)
        ]
    except EmailTakenError:
        await users.rollback()
        return []
    for user in created:
        await audit.record(AuditAction.CREATE_USER, Parties(account=user.public_id))
    return created


async def _hashes(
    accounts: Sequence[DemoAccount], settings: Settings, on_step: Callable[[int], None]
) -> list[str]:
    hashes = []
    with closing(PasswordService(settings)) as passwords:
        for account in accounts:
            hashes.append(await passwords.hash(account.password))
            on_step(1)
    return hashes
