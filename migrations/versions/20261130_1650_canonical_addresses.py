"""Canonical addresses

Looks accounts up by the domain that mail goes to (UTS 46), and folds no more of the local part than
the case of ASCII letters. Where two accounts now have one address, the older one keeps it. The
others are listed: their users log in with the address as they typed it when they registered, until
an administrator deletes one of the accounts.

Revision ID: 0004
Revises: 0002
Created: 2026-11-30 16:50:12.401713+00:00
"""

import logging
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from string import ascii_lowercase, ascii_uppercase
from typing import NamedTuple

import idna
import sqlalchemy as sa
from alembic import context, op

revision: str = "0004"
down_revision: str | Sequence[str] | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

USERS = sa.table(
    "users",
    sa.column("id", sa.Integer),
    sa.column("public_id", sa.String),
    sa.column("email", sa.String),
    sa.column("email_key", sa.String),
    sa.column("is_deleted", sa.Boolean),
    sa.column("created_at", sa.DateTime(timezone=True)),
)
TO_ASCII_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
log = logging.getLogger("alembic.runtime.migration")


class Account(NamedTuple):
    id: int
    public_id: str
    email: str
    email_key: str
    is_deleted: bool


def upgrade() -> None:
    if context.is_offline_mode():
        notice = "-- Revision 0004 rewrites users.email_key in Python: run it on a connection.\n"
        context.get_context().impl.static_output(notice)
        return
    connection = op.get_bind()
    columns = [USERS.c[name] for name in Account._fields]
    oldest_first = sa.select(*columns).order_by(USERS.c.created_at, USERS.c.id)
    accounts = [Account(*row) for row in connection.execute(oldest_first)]
    changed = new_keys(accounts)
    # In two steps: the new key of one account may be the old one of another.
    write_keys(connection, {account_id: f"::{account_id}" for account_id in changed})
    write_keys(connection, changed)


def downgrade() -> None:
    """Keep the keys: an older release finds all but a few accounts with international addresses."""


def write_keys(connection: sa.Connection, keys: dict[int, str]) -> None:
    if keys:
        connection.execute(
            sa.update(USERS)
            .where(USERS.c.id == sa.bindparam("account_id"))
            .values(email_key=sa.bindparam("key")),
            [{"account_id": account_id, "key": key} for account_id, key in keys.items()],
        )


def new_keys(accounts: Iterable[Account]) -> dict[int, str]:
    """Return the keys that change, by account; `accounts` come oldest first."""
    keys: dict[int, str] = {}
    living: dict[str, list[Account]] = defaultdict(list)
    for account in accounts:
        key = canonical(account.email)
        keeper = living[key][0] if living[key] else None
        if not account.is_deleted:
            living[key].append(account)
            if keeper is not None:
                log.warning(
                    "account %s has the address of the older account %s: its user logs in with "
                    "the address as typed",
                    account.public_id,
                    keeper.public_id,
                )
                # No address begins with a colon.
                key = f":{account.email.strip()}"
        if key != account.email_key:
            keys[account.id] = key
    return keys


def canonical(email: str) -> str:
    local, at, domain = email.strip().rpartition("@")
    local = unicodedata.normalize("NFC", local).translate(TO_ASCII_LOWER)
    return local + at + canonical_domain(domain)


def canonical_domain(domain: str) -> str:
    lowered = domain.translate(TO_ASCII_LOWER)
    if lowered.isascii() and "xn--" not in lowered:
        return lowered
    try:
        return idna.encode(domain, uts46=True, transitional=False).decode()
    except UnicodeError:
        return lowered
