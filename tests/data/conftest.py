"""Sessions as the application opens them, and rows to work on."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.session import Database
from app.models import User
from app.models.user import email_key


@pytest.fixture
async def session(database: Database) -> AsyncIterator[AsyncSession]:
    """A session to write with; what a test does not commit is rolled back."""
    async with database.sessions() as opened:
        yield opened


@pytest.fixture
async def owner(session: AsyncSession) -> User:
    """A user, committed."""
    user = make_user("owner@example.com")
    session.add(user)
    await session.commit()
    return user


def make_user(email: str) -> User:
    return User(email=email, email_key=email_key(email), password_hash="not a hash")
