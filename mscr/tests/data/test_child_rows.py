"""Children of rows: found by foreign keys, deleted and restored with their parents."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import ForeignKey, MetaData, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from examples.catalogue.db.session import Database
from examples.catalogue.models.order import Order
from mscr.core.exceptions import ValidationFailedError
from mscr.models.account import AccountMixin
from mscr.models.base import TYPE_ANNOTATION_MAP, ModelBase, VersionMixin
from mscr.models.ownership import child_lists, children_of
from mscr.repositories.bulk_repository import BulkRepository
from mscr.repositories.child_rows import with_children
from mscr.repositories.owned_repository import OwnedRepository


class Base(ModelBase, DeclarativeBase):
    metadata = MetaData()
    type_annotation_map = TYPE_ANNOTATION_MAP


class Shop(Base, VersionMixin):
    __tablename__ = "shops"

    shelves: Mapped[list["Shelf"]] = relationship(lazy="raise", back_populates="shop")
    visits: Mapped[list["Visit"]] = relationship(lazy="raise")


class Shelf(Base):
    __tablename__ = "shelves"

    shop_id: Mapped[int] = mapped_column(ForeignKey("shops.id", ondelete="CASCADE"))
    shop: Mapped[Shop] = relationship(lazy="raise", back_populates="shelves")


class Box(Base, VersionMixin):
    """A child of a child, which may lie in another box."""

    __tablename__ = "boxes"

    shelf_id: Mapped[int] = mapped_column(ForeignKey("shelves.id", ondelete="CASCADE"))
    box_id: Mapped[int | None] = mapped_column(ForeignKey("boxes.id", ondelete="CASCADE"))


class Visit(Base):
    """Not a child: without ON DELETE CASCADE."""

    __tablename__ = "visits"

    shop_id: Mapped[int] = mapped_column(ForeignKey("shops.id"))


class Clerk(Base, AccountMixin):
    """Not a child: an account."""

    __tablename__ = "clerks"

    shop_id: Mapped[int] = mapped_column(ForeignKey("shops.id", ondelete="CASCADE"))


class ShopRepository(BulkRepository[Shop]):
    model = Shop


MODELS: tuple[type[Any], ...] = (Shop, Shelf, Box, Visit, Clerk)


@pytest.fixture
async def shops(database: Database) -> AsyncIterator[ShopRepository]:
    """Yield the shops: two, each with a shelf and two boxes in one another."""
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with database.sessions() as session:
        for number in (11, 12):
            key = f"{number}@example.com"
            account = {"email": key, "email_key": key, "password_hash": "none"}
            session.add(Shop(id=number))
            await session.flush()
            shelf = Shelf(shop_id=number)
            session.add_all([shelf, Visit(shop_id=number), Clerk(shop_id=number, **account)])
            await session.flush()
            box = Box(shelf_id=shelf.id)
            session.add(box)
            await session.flush()
            session.add(Box(shelf_id=shelf.id, box_id=box.id))
        await session.commit()
        yield ShopRepository(session)


async def living(shops: ShopRepository) -> list[int]:
    """Return the number of living rows of each model."""
    await shops.session.commit()
    found = [
        (await shops.session.scalars(select(model.id).where(model.is_deleted.is_(False)))).all()
        for model in MODELS
    ]
    return [len(rows) for rows in found]


def test_children_follow_from_foreign_keys() -> None:
    assert [child.model for child in children_of(Shop.__mapper__)] == [Shelf]
    assert [child.model for child in children_of(Shelf.__mapper__)] == [Box]
    assert [child.model for child in children_of(Visit.__mapper__)] == []
    assert child_lists(Shop.__mapper__).keys() == {"shelves"}
    assert child_lists(Shelf.__mapper__).keys() == set()


async def test_descendants_are_deleted_and_restored_with_a_row(shops: ShopRepository) -> None:
    shop = await shops.lock(id=11)
    assert shop

    await shops.soft_delete(shop)
    assert await living(shops) == [1, 1, 2, 2, 2]
    boxes = (await shops.session.scalars(select(Box).order_by(Box.id))).all()
    assert [box.version for box in boxes] == [2, 2, 1, 1]

    await shops.restore(shop)
    assert await living(shops) == [2, 2, 4, 2, 2]
    await shops.restore(shop)
    assert await living(shops) == [2, 2, 4, 2, 2]


async def test_what_was_deleted_before_its_parent_stays_deleted(shops: ShopRepository) -> None:
    boxes = OwnedRepository(Box, shops.session)
    box = await boxes.lock(id=2)
    shop = await shops.lock(id=11)
    assert box
    assert shop
    await boxes.soft_delete(box)

    await shops.soft_delete(shop)
    await shops.restore(shop)

    assert await living(shops) == [2, 2, 3, 2, 2]


async def test_descendants_are_deleted_with_many_rows(shops: ShopRepository) -> None:
    rows = [row for number in (11, 12) if (row := await shops.lock(id=number))]

    await shops.soft_delete_each(rows)

    assert await living(shops) == [0, 0, 0, 2, 2]


async def test_replaced_children_are_deleted_with_their_own(shops: ShopRepository) -> None:
    shop = await shops.lock(id=11)
    assert shop

    await shops.update(shop, shelves=[{}, {}])

    assert await living(shops) == [2, 3, 2, 2, 2]
    assert (await shops.session.scalars(select(Shelf.shop_id).order_by(Shelf.id))).all() == [
        *(11, 12),
        *(11, 11),
    ]


async def test_a_value_of_a_child_that_its_column_cannot_hold_is_named() -> None:
    row = {"product": "x" * 101, "quantity": 1, "price": Decimal(1), "options": {}}

    with pytest.raises(ValidationFailedError) as caught:
        with_children(Order, {"lines": [row]})

    assert caught.value.errors
    assert [*caught.value.errors[0]["loc"]] == ["body", "lines", 0, "product"]
