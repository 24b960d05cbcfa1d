"""Direct access to the server's database: inspect it, add rows, and restore its state."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

# Tables that benchmarks add rows to.
GROWING: Final = ("items", "refresh_tokens", "audit_events")


@asynccontextmanager
async def connected(url: str, **options: Any) -> AsyncIterator[AsyncConnection]:
    """Open a connection outside of the server's pool. It does not commit by itself."""
    engine = create_async_engine(url, poolclass=NullPool, **options)
    async with engine.connect() as connection:
        yield connection


@dataclass(frozen=True)
class FixedRows:
    """The fixed state of the tables and their statistics, restored before each turn of a round."""

    url: str
    newest: Mapping[str, int]

    @classmethod
    async def of(cls, url: str, *further: str) -> Self:
        """Take the present rows as the fixed state, also those of `further` tables."""
        async with connected(url) as connection:
            newest = {
                name: (await connection.execute(text(f"SELECT max(id) FROM {name}"))).scalar() or 0  # noqa: S608  # a constant
                for name in (*GROWING, *further)
            }
        fixed = cls(url, newest)
        await fixed.restore()
        return fixed

    async def restore(self) -> None:
        """Delete the rows that were added, and update the planner's statistics."""
        async with connected(self.url, isolation_level="AUTOCOMMIT") as connection:
            for name, newest in self.newest.items():
                statement = text(f"DELETE FROM {name} WHERE id > :newest")  # noqa: S608  # likewise
                await connection.execute(statement, {"newest": newest})
            if connection.dialect.name == "postgresql":
                await connection.execute(text(f"VACUUM ANALYZE {', '.join(self.newest)}"))
            else:
                await connection.execute(text("ANALYZE"))
