"""A model with encrypted columns, as your project may have; no shipped model has any.

It is not in the application's metadata, so no migration covers it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import MetaData, Table
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from uuid_utils.compat import uuid7

from examples.catalogue.db.session import Database
from mscr.core.security.encryption import EncryptionService
from mscr.models.base import (
    EncryptedText,
    PublicIdMixin,
    SoftDeleteMixin,
    TimestampMixin,
    encryption_context,
)


class House(DeclarativeBase):
    metadata = MetaData()


class Safe(House, SoftDeleteMixin, TimestampMixin, PublicIdMixin):
    __tablename__ = "safes"

    id: Mapped[int] = mapped_column(primary_key=True)
    combination: Mapped[str] = mapped_column(EncryptedText)
    hint: Mapped[str | None] = mapped_column(EncryptedText)


TABLE: Table = House.metadata.tables["safes"]


def make_safe(encryption: EncryptionService, combination: str, *, hint: str | None = None) -> Safe:
    public_id = str(uuid7())
    return Safe(
        public_id=public_id,
        combination=encrypted(encryption, "combination", public_id, combination),
        hint=None if hint is None else encrypted(encryption, "hint", public_id, hint),
    )


def encrypted(encryption: EncryptionService, column: str, public_id: str, value: str) -> str:
    return encryption.encrypt(value, context=encryption_context(TABLE.c[column], public_id))


def opened(encryption: EncryptionService, safe: Safe) -> str:
    """Return the decrypted combination; raise `DecryptionError` if the service cannot read it."""
    context = encryption_context(Safe.combination, safe.public_id)
    return encryption.decrypt(safe.combination, context=context)


@asynccontextmanager
async def house_of(database: Database) -> AsyncIterator[AsyncSession]:
    """Yield a database session in a database with this table."""
    async with database.engine.begin() as connection:
        await connection.run_sync(House.metadata.create_all)
    async with database.sessions() as session:
        yield session
