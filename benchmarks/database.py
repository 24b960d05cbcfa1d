"""The database behind the server: looked at, added to, and brought back to what it was."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

# Whatever measuring adds rows to.
GROWING: Final = ("items", "refresh_tokens", "audit_events")


@asynccontextmanager
async def connected(url: str, **options: Any) -> AsyncIterator[AsyncConnection]:
    """A connection outside of the server's pool; nothing is committed by itself."""
    engine = create_async_engine(url, poolclass=NullPool, **options)
    async with engine.connect() as connection:
        yield connection


@dataclass(frozen=True)
class FixedRows:
    """What everyone who takes turns shall find, in a table and its plans: no more, and no less."""

    url: str
    newest: Mapping[str, int]

    @classmethod
    async def of(cls, url: str) -> Self:
        """The rows that are there now."""
        async with connected(url) as connection:
            newest = {
                name: (await connection.execute(text(f"SELECT max(id) FROM {name}"))).scalar() or 0  # noqa: S608  # a constant
                for name in GROWING
            }
        fixed = cls(url, newest)
        await fixed.restore()
        return fixed

    async def restore(self) -> None:
        """Remove what was added, and tell the planner."""
        async with connected(self.url, isolation_level="AUTOCOMMIT") as connection:
            for name, newest in self.newest.items():
                statement = text(f"DELETE FROM {name} WHERE id > :newest")  # noqa: S608  # likewise
                await connection.execute(statement, {"newest": newest})
            if connection.dialect.name == "postgresql":
                await connection.execute(text(f"VACUUM ANALYZE {', '.join(self.newest)}"))
            else:
                await connection.execute(text("ANALYZE"))
