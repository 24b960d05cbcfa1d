"""Optimistic and pessimistic locks: two transactions change one row."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from examples.catalogue.db.session import Database
from examples.catalogue.models.item import Item
from examples.catalogue.models.tables import TABLES
from examples.catalogue.models.user import User
from examples.catalogue.repositories.item_repository import ItemRepository
from mscr.core.idempotency import KeyScope
from mscr.endpoints.database import DbSession
from mscr.models.base import utcnow
from mscr.repositories.idempotency_key_repository import IdempotencyKeyRepository
from mscr.testing.databases import on_postgresql
from mscr.testing.problems import problem


@pytest.fixture
async def item(session: AsyncSession, owner: User) -> Item:
    item = await ItemRepository(session).create(owner_id=owner.id, title="A thing")
    await session.commit()
    return item


async def version(database: Database) -> int | None:
    async with database.read_sessions() as session:
        return await session.scalar(select(Item.version))


async def test_each_change_raises_the_version_by_one(
    database: Database, session: AsyncSession, item: Item
) -> None:
    items = ItemRepository(session)
    versions = [await version(database)]
    await items.update(item, title="Changed")
    await items.commit()
    versions.append(await version(database))
    await items.soft_delete(item)
    await items.commit()
    versions.append(await version(database))
    await items.restore((await session.scalars(select(Item))).one())
    await items.commit()

    assert [*versions, await version(database)] == [1, 2, 3, 4]


async def test_a_write_of_an_old_version_gets_409_and_overwrites_nothing(
    app: FastAPI, client: AsyncClient, database: Database, item: Item
) -> None:
    """RC4: the optimistic lock, for rows that nobody locked."""

    @app.post("/overwrite")
    async def overwrite(db: DbSession) -> None:
        items = ItemRepository(db)
        read = (await items.list())[0]
        # Another transaction's change, which the session does not notice.
        changed = update(Item).values(title="First", version=Item.version + 1)
        await db.execute(changed.execution_options(synchronize_session=False))
        await db.commit()
        await items.update(read, title="Second")
        await items.commit()

    problem(await client.post("/overwrite"), 409, "edit_conflict")
    async with database.read_sessions() as looking:
        assert await looking.scalar(select(Item.title)) == "First"


@on_postgresql
async def test_a_row_is_read_again_after_the_wait_for_its_lock(
    database: Database, session: AsyncSession, item: Item
) -> None:
    """RC4: also when the transaction had read the row before."""
    items = ItemRepository(session)
    await items.list()
    async with database.sessions.begin() as other:
        await other.execute(update(Item).values(title="First", version=Item.version + 1))

    found = await items.lock_row(item.public_id)  # type: ignore[arg-type]  # only compared with columns

    assert found is item
    assert (item.title, item.version) == ("First", 2)


async def test_an_idempotency_key_is_stored_once_even_without_a_lock(
    session: AsyncSession, owner: User
) -> None:
    """RC3: the unique constraint holds even without the lock."""
    keys = IdempotencyKeyRepository(session, TABLES)
    scope = KeyScope.of(owner.id, "create_item", "key")
    row = {
        "user_id": scope.user_id,
        "operation": scope.operation,
        "key_digest": scope.key_digest,
        "fingerprint": b"",
        "status": 201,
        "headers": {},
        "body": "",
        "expires_at": utcnow(),
    }
    await keys.create(**row)
    with pytest.raises(IntegrityError):
        await keys.create(**row)
