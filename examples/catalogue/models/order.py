"""An order: a plain resource with columns of every kind, a rule, and rows that are shared."""

from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum as PyEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import JSON, Computed, ForeignKey, LargeBinary, String, false, func
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from examples.catalogue.models.base import Base, OwnedMixin
from mscr.models.base import ExactNumeric, new_public_id
from mscr.models.enum_type import enum_type
from mscr.models.indexes import living_index

LARGE: Final = 100


class OrderStatus(str, PyEnum):
    OPEN = "open"
    SENT = "sent"


class OrderLine(Base):
    """A child of an order: created, read, replaced, deleted and restored with it."""

    __tablename__ = "order_lines"

    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"), index=True)
    product: Mapped[str] = mapped_column(String(100))
    quantity: Mapped[int]
    price: Mapped[Decimal] = mapped_column(ExactNumeric(12, 2))
    needed_at: Mapped[datetime | None]
    options: Mapped[dict[str, Any]] = mapped_column(JSON)


class Order(Base, OwnedMixin):
    __tablename__ = "orders"
    __table_args__ = (
        # The list of shared orders, in its sort order.
        living_index("ix_orders_is_shared_created_at", "is_shared", "created_at", "public_id"),
        living_index("uq_orders_owner_id_number_living", "owner_id", "number", unique=True),
    )

    number: Mapped[str] = mapped_column(String(40))
    quantity: Mapped[int] = mapped_column()
    price: Mapped[Decimal] = mapped_column(ExactNumeric(12, 2))
    deliver_on: Mapped[date]
    placed_at: Mapped[datetime]
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    remark: Mapped[str | None] = mapped_column(String(200))
    status: Mapped[OrderStatus] = mapped_column(
        enum_type(OrderStatus, name="status", length=20), default=OrderStatus.OPEN
    )
    reference: Mapped[str] = mapped_column(String(36), default=new_public_id)
    ordered_on: Mapped[date] = mapped_column(default=func.current_date())
    is_shared: Mapped[bool] = mapped_column(default=False, server_default=false())
    label: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    deliver_after: Mapped[time | None]
    barcode: Mapped[UUID | None]
    # The attribute has a name of its own.
    source: Mapped[str | None] = mapped_column("placed_in", String(40))
    # The database computes these three.
    handled_at: Mapped[datetime] = mapped_column(
        default=func.current_timestamp(), onupdate=func.current_timestamp()
    )
    sort_number: Mapped[str] = mapped_column(String(40), Computed("upper(number)", persisted=True))
    is_large: Mapped[bool] = column_property(quantity >= LARGE)

    lines: Mapped[list[OrderLine]] = relationship(lazy="raise", order_by=OrderLine.id)
