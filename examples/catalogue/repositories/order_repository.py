from collections.abc import Sequence
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, func, select

from examples.catalogue.models.order import Order
from examples.catalogue.models.user import User
from mscr.queries.filters import Filters
from mscr.queries.shown_columns import Computed
from mscr.repositories.owned_repository import OwnedRepository


class OrderRepository(OwnedRepository[Order]):
    model = Order
    computed: ClassVar[Computed] = {
        "owner_name": select(User.full_name).where(User.id == Order.owner_id).scalar_subquery()
    }
    filters: ClassVar[Filters] = {"is_late": (Order.deliver_on < func.current_date()).is_}

    def visible_to(self, viewer_id: Any) -> Sequence[ColumnElement[bool]]:
        return Order.is_shared.is_(True), Order.owner_id == viewer_id
