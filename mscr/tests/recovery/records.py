"""The parts that tests compare: refused links, users and audit events."""

from typing import Any

from httpx2 import Response
from sqlalchemy import select

from examples.catalogue.db.session import Database
from examples.catalogue.models import AuditEvent, User
from mscr.testing.api import Account
from mscr.testing.problems import problem


def refused(response: Response) -> dict[str, Any]:
    """Check that the link was refused, and return the problem without its request id."""
    body = problem(response, 400, "invalid_link")
    return {name: body[name] for name in body.keys() - {"request_id", "instance"}}


async def user_of(account: Account, database: Database) -> User:
    async with database.read_sessions() as session:
        statement = select(User).where(User.public_id == account.public_id)
        return (await session.scalars(statement)).one()


async def events(database: Database, *actions: str) -> list[tuple[str, str | None, str | None]]:
    """Return action, reason and account of these events."""
    async with database.read_sessions() as session:
        found = select(AuditEvent).where(AuditEvent.action.in_(actions)).order_by(AuditEvent.id)
        rows = await session.scalars(found)
        return [(row.action, row.reason, row.account_public_id) for row in rows]
