"""Sessions as the application opens them, and rows to work on."""

import asyncio
import io
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from alembic.config import Config
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.config import PROJECT_ROOT
from app.db.session import Database
from app.models import User
from app.models.email_key import email_key
from tests.support.postgres import PostgresServer


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


@pytest.fixture
def empty_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database in which there is nothing; on SQLite not even the file."""
    if backend == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path}/empty.db"
        return
    server = request.getfixturevalue("postgres")
    assert isinstance(server, PostgresServer)
    name = f"empty_{secrets.token_hex(8)}"
    asyncio.run(server.create_database(name))
    yield server.url(name)
    asyncio.run(server.drop_database(name))


@pytest.fixture
def config(empty_url: str) -> Config:
    return alembic_config(empty_url)


def alembic_config(url: str) -> Config:
    config = Config(PROJECT_ROOT / "alembic.ini", stdout=io.StringIO())
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config
