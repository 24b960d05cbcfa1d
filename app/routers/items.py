from typing import Annotated

from app.core.dependencies import PublicId, page_of, service_for_caller, shared
from app.core.responses import PageResponse, SuccessResponse, page_response, resource_response
from app.core.security.permissions import Permission
from app.schemas.item_schemas import (
    ItemCreate,
    ItemListQuery,
    ItemResponse,
    ItemSearchQuery,
    ItemUpdate,
)
from app.services.item_service import ItemService
from mscr.http.routing import Router
from mscr.queries.pagination import PageRequest

router = Router(prefix="/items", tags=["Items"])
Items = Annotated[ItemService, service_for_caller(ItemService)]
ItemPage = Annotated[PageRequest, page_of(ItemListQuery)]
FoundPage = Annotated[PageRequest, page_of(ItemSearchQuery)]


@router.get("")
async def list_items(page: ItemPage, items: Items) -> PageResponse[ItemResponse]:
    """List published items and the caller's own."""
    return page_response(await items.list(page), ItemResponse, page)


@router.post("", status_code=201)
async def create_item(data: ItemCreate, items: Items) -> SuccessResponse[ItemResponse]:
    """Create an item."""
    return resource_response(await items.create(data), ItemResponse)


@router.get("/my")
async def list_my_items(page: ItemPage, items: Items) -> PageResponse[ItemResponse]:
    """List the caller's items in every status."""
    return page_response(await items.list_own(page), ItemResponse, page)


@router.get("/search")
async def search_items(page: FoundPage, items: Items) -> PageResponse[ItemResponse]:
    """Search items for the words of q, most relevant first."""
    return page_response(await items.list(page), ItemResponse, page)


@router.get("/{public_id}")
@shared(Permission.ITEMS_MANAGE)
async def get_item(public_id: PublicId, items: Items) -> SuccessResponse[ItemResponse]:
    """Get an item."""
    return resource_response(await items.get(public_id), ItemResponse)


@router.patch("/{public_id}")
@shared(Permission.ITEMS_MANAGE)
async def update_item(
    public_id: PublicId, data: ItemUpdate, items: Items
) -> SuccessResponse[ItemResponse]:
    """Change an item (owner or administrator)."""
    return resource_response(await items.update(public_id, data), ItemResponse)


@router.delete("/{public_id}", status_code=204)
@shared(Permission.ITEMS_MANAGE)
async def delete_item(public_id: PublicId, items: Items) -> None:
    """Delete an item (owner or administrator)."""
    await items.delete(public_id)


@router.post("/{public_id}/restore")
@shared(Permission.ITEMS_MANAGE)
async def restore_item(public_id: PublicId, items: Items) -> SuccessResponse[ItemResponse]:
    """Restore a deleted item (owner or administrator)."""
    return resource_response(await items.restore(public_id), ItemResponse)
