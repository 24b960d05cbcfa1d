from typing import Annotated

from examples.catalogue.core.exceptions import OrderSentError, TooManyOrdersError
from examples.catalogue.core.permissions import Permission
from examples.catalogue.schemas.order_schemas import (
    OrderCreate,
    OrderListQuery,
    OrderResponse,
    OrderUpdate,
)
from examples.catalogue.services.order_service import OrderService
from mscr.endpoints.owned_resource import page_of, service_for_caller
from mscr.endpoints.permissions import shared
from mscr.endpoints.requests import PublicId
from mscr.endpoints.resource_responder import resource_response
from mscr.http.openapi import problem_responses
from mscr.http.responses import PageResponse, SuccessResponse, page_response
from mscr.http.routing import Router
from mscr.queries.pagination import PageRequest

router = Router(prefix="/orders", tags=["Orders"])
Orders = Annotated[OrderService, service_for_caller(OrderService)]
OrderPage = Annotated[PageRequest, page_of(OrderListQuery)]


@router.get("")
async def list_orders(page: OrderPage, orders: Orders) -> PageResponse[OrderResponse]:
    """List the caller's orders, and the shared ones."""
    return page_response(await orders.list(page), OrderResponse, page)


@router.post("", status_code=201, responses=problem_responses(TooManyOrdersError))
async def create_order(data: OrderCreate, orders: Orders) -> SuccessResponse[OrderResponse]:
    """Place an order.

    The price is that of the whole order.
    """
    return resource_response(await orders.create(data), OrderResponse)


@router.get("/my")
async def list_my_orders(page: OrderPage, orders: Orders) -> PageResponse[OrderResponse]:
    """List the caller's orders."""
    return page_response(await orders.list_own(page), OrderResponse, page)


@router.get("/{public_id}")
@shared(Permission.ITEMS_MANAGE)
async def get_order(public_id: PublicId, orders: Orders) -> SuccessResponse[OrderResponse]:
    """Get an order."""
    return resource_response(await orders.get(public_id), OrderResponse)


@router.patch("/{public_id}", responses=problem_responses(OrderSentError))
@shared(Permission.ITEMS_MANAGE)
async def update_order(
    public_id: PublicId, data: OrderUpdate, orders: Orders
) -> SuccessResponse[OrderResponse]:
    """Change an order (owner or administrator)."""
    return resource_response(await orders.update(public_id, data), OrderResponse)


@router.delete("/{public_id}", status_code=204)
@shared(Permission.ITEMS_MANAGE)
async def delete_order(public_id: PublicId, orders: Orders) -> None:
    """Delete an order (owner or administrator)."""
    await orders.delete(public_id)


@router.post("/{public_id}/send", responses=problem_responses(OrderSentError))
@shared(Permission.ITEMS_MANAGE)
async def send_order(public_id: PublicId, orders: Orders) -> SuccessResponse[OrderResponse]:
    """Send an order, once (owner or administrator)."""
    return resource_response(await orders.send(public_id), OrderResponse)


@router.post("/{public_id}/restore")
@shared(Permission.ITEMS_MANAGE)
async def restore_order(public_id: PublicId, orders: Orders) -> SuccessResponse[OrderResponse]:
    """Restore a deleted order (owner or administrator)."""
    return resource_response(await orders.restore(public_id), OrderResponse)
