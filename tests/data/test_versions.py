"""Two transactions that change one row: what the second finds, and what becomes of it."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.dependencies import DbSession
from app.core.idempotency import KeyScope
from app.db.session import Database
from app.models import Item, User
from app.models.base import utcnow
from app.repositories.idempotency_key_repository import IdempotencyKeyRepository
from app.repositories.item_repository import ItemRepository
from app.repositories.owned_row_repository import OwnedRowRepository
from tests.support.databases import on_postgresql
from tests.support.problems import problem


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
    # A statement for many rows does so too.
    await OwnedRowRepository(session).soft_delete(item.owner_id)
    await items.commit()
    versions.append(await version(database))
    await items.restore((await session.scalars(select(Item))).one())
    await items.commit()

    assert [*versions, await version(database)] == [1, 2, 3, 4]


async def test_whoever_writes_an_old_version_gets_409_and_overwrites_nothing(
    app: FastAPI, client: AsyncClient, database: Database, item: Item
) -> None:
    """RC4: where nobody locked the row, or the first was quicker than any lock."""

    @app.post("/overwrite")
    async def overwrite(db: DbSession) -> None:
        items = ItemRepository(db)
        read = (await items.list())[0]
        # As another transaction would: the session does not hear of it.
        changed = update(Item).values(title="First", version=Item.version + 1)
        await db.execute(changed.execution_options(synchronize_session=False))
        await db.commit()
        await items.update(read, title="Second")
        await items.commit()

    problem(await client.post("/overwrite"), 409, "edit_conflict")
    async with database.read_sessions() as looking:
        assert await looking.scalar(select(Item.title)) == "First"


@on_postgresql
async def test_what_was_locked_is_read_as_the_one_before_left_it(
    database: Database, session: AsyncSession, item: Item
) -> None:
    """RC4: also where the transaction had read it before."""
    items = ItemRepository(session)
    await items.list()
    async with database.sessions.begin() as other:
        await other.execute(update(Item).values(title="First", version=Item.version + 1))

    found = await items.find_for_update(item.public_id)  # type: ignore[arg-type]  # it is compared

    assert found is item
    assert (item.title, item.version) == ("First", 2)


async def test_a_key_is_stored_once_however_it_was_locked(
    session: AsyncSession, owner: User
) -> None:
    """RC3: the constraint stands behind the lock."""
    keys = IdempotencyKeyRepository(session)
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
