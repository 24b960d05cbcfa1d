from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel

from examples.catalogue.core.exceptions import OrderSentError, TooManyOrdersError
from examples.catalogue.core.permissions import Permission
from examples.catalogue.models.order import Order, OrderStatus
from examples.catalogue.repositories.order_repository import OrderRepository
from examples.catalogue.schemas.order_schemas import OrderResponse
from mscr.queries.shown_rows import ShownRow
from mscr.services.owned_service import OwnedService

MAX_OPEN: Final = 10


class OrderService(OwnedService[Order]):
    """Orders of the caller, and those that others share. An order is sent once."""

    repository = OrderRepository
    response = OrderResponse

    async def create(self, data: BaseModel, **values: Any) -> ShownRow:
        # A repeated request gets the first response, also if that order was the last one allowed.
        await self.begin()
        number = await self.repo.count(owner_id=self.caller.user_id, status=OrderStatus.OPEN)
        if number >= MAX_OPEN:
            raise TooManyOrdersError
        return await super().create(data, **values)

    async def update(self, public_id: UUID, data: BaseModel) -> ShownRow:
        order = await self._lock_open(public_id)
        return await self.save(order, **data.model_dump(exclude_unset=True))

    async def send(self, public_id: UUID) -> ShownRow:
        """Raises `OrderSentError` the second time."""
        return await self.save(await self._lock_open(public_id), status=OrderStatus.SENT)

    def may_manage(self) -> bool:
        return self.caller.may(Permission.ITEMS_MANAGE)

    async def _lock_open(self, public_id: UUID) -> Order:
        order = await self.lock(public_id)
        if order.status is OrderStatus.SENT:
            raise OrderSentError
        return order
