"""Methods of the base repository, which every repository inherits."""

from functools import partial
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncSession

from examples.catalogue.db.session import Database
from examples.catalogue.models.item import Item, ItemStatus
from examples.catalogue.models.user import User
from mscr.db.after_commit import after_commit
from mscr.repositories.base import BaseRepository
from mscr.repositories.connection import ConnectionMixin
from mscr.testing.databases import checked_out, on_sqlite


class Items(ConnectionMixin, BaseRepository[Item]):
    """A repository with every mixin."""


@pytest.fixture
def items(session: AsyncSession) -> Items:
    return Items(Item, session)


@pytest.fixture
async def item(items: Items, owner: User) -> Item:
    created = await items.create(title="Milk", owner_id=owner.id)
    await items.commit()
    return created


@pytest.fixture
async def deleted(items: Items, owner: User) -> Item:
    created = await items.create(title="Gone", owner_id=owner.id)
    await items.soft_delete(created)
    await items.commit()
    return created


async def _count_anew(database: Database) -> int:
    """Count rows on another connection, which sees committed rows only."""
    async with database.read_sessions() as other:
        return await other.scalar(select(func.count()).select_from(Item)) or 0


async def test_create_gives_the_row_its_id_without_committing(
    items: Items, owner: User, database: Database
) -> None:
    created = await items.create(title="Milk", owner_id=owner.id)

    assert created.id is not None
    assert await _count_anew(database) == 0


async def test_commit_makes_the_row_visible_to_others(item: Item, database: Database) -> None:
    assert await _count_anew(database) == 1


@on_sqlite
async def test_after_commit_callbacks_run_once_and_never_after_a_rollback(
    items: Items, owner: User, session: AsyncSession
) -> None:
    """AU2: the callbacks run even if another repository on the same session commits."""
    calls: list[str] = []
    for name, end in (
        ("rolled back", items.rollback),
        ("released", items.release),
        ("committed", BaseRepository(User, session).commit),
        ("once more", items.rollback),
    ):
        after_commit(session, partial(calls.append, name))
        await end()
        await items.commit()

    assert calls == ["committed"]


async def test_a_failed_commit_drops_its_callbacks(
    items: Items, database: Database, session: AsyncSession
) -> None:
    """AU2."""
    calls: list[str] = []
    after_commit(session, partial(calls.append, "lost"))
    session.add(Item(title="Nobody's", owner_id=0))
    with pytest.raises(IntegrityError):
        await items.commit()
    await session.rollback()
    await items.commit()

    assert calls == []


async def test_rollback_undoes_flushed_changes(
    items: Items, owner: User, database: Database
) -> None:
    await items.create(title="Milk", owner_id=owner.id)
    await items.rollback()
    await items.commit()

    assert await _count_anew(database) == 0


async def test_an_object_can_be_read_after_the_commit(item: Item) -> None:
    assert item.title == "Milk"


async def test_get_finds_a_row_by_its_integer_id(items: Items, item: Item) -> None:
    assert await items.get(item.id) is item


async def test_get_finds_nothing_under_an_unknown_id(items: Items, item: Item) -> None:
    assert await items.get(item.id + 1) is None


async def test_get_by_public_id_takes_text_and_uuid(items: Items, item: Item) -> None:
    by_text = await items.get_by_public_id(item.public_id)

    assert by_text is item
    assert await items.get_by_public_id(uuid4()) is None


async def test_a_deleted_row_is_found_only_with_include_deleted(
    items: Items, deleted: Item
) -> None:
    found = [
        await items.get(deleted.id),
        await items.get_by_public_id(deleted.public_id),
        await items.get(deleted.id, include_deleted=True),
        await items.get_by_public_id(deleted.public_id, include_deleted=True),
    ]

    assert found == [None, None, deleted, deleted]


async def test_list_omits_deleted_rows_by_default(items: Items, item: Item, deleted: Item) -> None:
    living = await items.list()
    everything = await items.list(include_deleted=True)

    assert (list(living), list(everything)) == ([item], [item, deleted])


async def test_list_filters_by_equality(items: Items, item: Item, owner: User) -> None:
    other = await items.create(title="Bread", owner_id=owner.id, status=ItemStatus.ACTIVE)

    assert list(await items.list(status=ItemStatus.ACTIVE, owner_id=owner.id)) == [other]


async def test_list_pages_in_order_of_creation(items: Items, owner: User) -> None:
    made = [await items.create(title=f"{n}", owner_id=owner.id) for n in range(4)]

    assert list(await items.list(limit=2, offset=1)) == made[1:3]


@pytest.mark.parametrize("method", ["list", "exists", "count"])
async def test_an_unknown_column_is_an_error_and_not_ignored(items: Items, method: str) -> None:
    with pytest.raises(InvalidRequestError, match="colour"):
        await getattr(items, method)(colour="red")


async def test_exists_ignores_deleted_rows_by_default(items: Items, deleted: Item) -> None:
    found = [
        await items.exists(title="Gone"),
        await items.exists(title="Gone", include_deleted=True),
        await items.exists(title="Never there", include_deleted=True),
    ]

    assert found == [False, True, False]


async def test_count_ignores_deleted_rows_by_default(
    items: Items, item: Item, deleted: Item
) -> None:
    counted = [await items.count(), await items.count(include_deleted=True)]

    assert counted == [1, 2]


async def test_count_filters_by_equality(items: Items, item: Item, owner: User) -> None:
    assert [await items.count(title="Milk"), await items.count(title="Bread")] == [1, 0]


async def test_update_sets_the_given_columns_and_keeps_the_others(items: Items, item: Item) -> None:
    await items.update(item, title="Oat milk")
    await items.commit()
    await items.session.refresh(item)

    assert (item.title, item.status) == ("Oat milk", ItemStatus.DRAFT)


@pytest.mark.parametrize("name", ["colour", "owner", "owner_public_id", "soft_delete", "metadata"])
async def test_update_refuses_a_name_that_is_no_column(items: Items, item: Item, name: str) -> None:
    with pytest.raises(AttributeError, match=name):
        await items.update(item, title="Oat milk", **{name: "x"})


async def test_a_refused_update_changes_nothing(items: Items, item: Item) -> None:
    with pytest.raises(AttributeError):
        await items.update(item, title="Oat milk", colour="white")

    assert item.title == "Milk"


async def test_restore_brings_a_deleted_row_back(items: Items, deleted: Item) -> None:
    await items.restore(deleted)
    await items.commit()

    assert await items.get(deleted.id) is deleted


async def test_release_returns_the_connection_and_keeps_loaded_rows(
    items: Items, item: Item, database: Database
) -> None:
    await items.get(item.id)
    held = checked_out(database)
    await items.release()

    assert (held, checked_out(database)) == (1, 0)
    assert item.title == "Milk"
