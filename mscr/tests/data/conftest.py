"""Fixtures: database sessions as the application opens them, rows to work on, Alembic."""

import io
from collections.abc import AsyncIterator

import pytest
from alembic.config import Config
from sqlalchemy.ext.asyncio import AsyncSession

from examples.catalogue.db.session import Database
from examples.catalogue.models.user import User
from mscr.models.email_key import email_key
from mscr.tests.support.paths import CATALOGUE


@pytest.fixture
async def session(database: Database) -> AsyncIterator[AsyncSession]:
    """Yield a session to write with. It rolls back what the test does not commit."""
    async with database.sessions() as opened:
        yield opened


@pytest.fixture
async def owner(session: AsyncSession) -> User:
    """Return a committed user."""
    user = make_user("owner@example.com")
    session.add(user)
    await session.commit()
    return user


def make_user(email: str) -> User:
    return User(email=email, email_key=email_key(email), password_hash="not a hash")


@pytest.fixture
def config(empty_url: str) -> Config:
    return alembic_config(empty_url)


def alembic_config(url: str) -> Config:
    config = Config(CATALOGUE / "alembic.ini", stdout=io.StringIO())
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config
