from typing import Annotated

from fastapi import Depends

from app.core.dependencies import (
    AppCollaborators,
    CurrentPrincipal,
    DbSession,
    PublicId,
    ReadDbSession,
    shared,
)
from app.core.exceptions import ValidationFailedError
from app.core.responses import PageResponse, SuccessResponse, page_response
from app.core.security.permissions import Permission
from app.repositories.item_repository import ItemRepository
from app.repositories.tag_repository import TagRepository
from app.schemas.item_schemas import (
    DeletedItemListQuery,
    DeletedItemResponse,
    ItemCreate,
    ItemListQuery,
    ItemResponse,
    ItemSearchQuery,
    ItemUpdate,
)
from app.services.item_service import ItemService
from mscr.endpoints.idempotency import idempotency_of
from mscr.endpoints.preconditions import preconditions_on
from mscr.endpoints.resource_responder import CREATED, Responder
from mscr.http.openapi import problem_responses
from mscr.http.preconditions import Preconditions
from mscr.http.request_parameters import query_model
from mscr.http.routing import Router
from mscr.services.idempotency_service import IdempotencyService

router = Router(prefix="/items", tags=["Items"], responses=problem_responses(ValidationFailedError))


async def get_service(db: DbSession, collaborators: AppCollaborators) -> ItemService:
    return ItemService(ItemRepository(db), TagRepository(db), pager=collaborators.pager)


async def get_reading_service(db: ReadDbSession, collaborators: AppCollaborators) -> ItemService:
    return ItemService(ItemRepository(db), TagRepository(db), pager=collaborators.pager)


Service = Annotated[ItemService, Depends(get_service)]
ReadingService = Annotated[ItemService, Depends(get_reading_service)]
ItemPreconditions = Annotated[Preconditions, preconditions_on(ItemResponse)]
ItemIdempotency = Annotated[IdempotencyService, idempotency_of(ItemResponse)]


@router.get("", summary="List published items and the caller's own")
async def list_items(
    principal: CurrentPrincipal,
    query: Annotated[ItemListQuery, query_model(ItemListQuery)],
    service: ReadingService,
) -> PageResponse[ItemResponse]:
    return page_response(await service.list_page(query, principal), ItemResponse)


@router.post("", status_code=201, summary="Create an item", responses=CREATED)
async def create_item(
    data: ItemCreate,
    principal: CurrentPrincipal,
    service: Service,
    idempotency: ItemIdempotency,
    respond: Responder,
) -> SuccessResponse[ItemResponse]:
    return respond.created(await service.create(data, principal, idempotency), ItemResponse)


@router.get("/my", summary="List the caller's items in every status")
async def list_my_items(
    principal: CurrentPrincipal,
    query: Annotated[ItemListQuery, query_model(ItemListQuery)],
    service: ReadingService,
) -> PageResponse[ItemResponse]:
    return page_response(await service.list_own(query, principal), ItemResponse)


@router.get(
    "/deleted",
    summary="List deleted items that the caller may restore (administrators: of all owners)",
)
async def list_deleted_items(
    principal: CurrentPrincipal,
    query: Annotated[DeletedItemListQuery, query_model(DeletedItemListQuery)],
    service: ReadingService,
) -> PageResponse[DeletedItemResponse]:
    return page_response(await service.list_deleted(query, principal), DeletedItemResponse)


@router.get("/search", summary="Search items for the words of q, most relevant first")
async def search_items(
    principal: CurrentPrincipal,
    query: Annotated[ItemSearchQuery, query_model(ItemSearchQuery)],
    service: ReadingService,
) -> PageResponse[ItemResponse]:
    return page_response(await service.search(query, principal), ItemResponse)


@router.get("/{public_id}", summary="Get an item")
@shared(Permission.ITEMS_MANAGE)
async def get_item(
    public_id: PublicId,
    principal: CurrentPrincipal,
    service: ReadingService,
    preconditions: ItemPreconditions,
    respond: Responder,
) -> SuccessResponse[ItemResponse]:
    return respond.ok(await service.get(public_id, principal, preconditions), ItemResponse)


@router.patch("/{public_id}", summary="Change an item (owner or administrator)")
@shared(Permission.ITEMS_MANAGE)
async def update_item(
    public_id: PublicId,
    data: ItemUpdate,
    principal: CurrentPrincipal,
    service: Service,
    preconditions: ItemPreconditions,
    respond: Responder,
) -> SuccessResponse[ItemResponse]:
    item = await service.update(public_id, data, principal, preconditions)
    return respond.ok(item, ItemResponse)


@router.delete("/{public_id}", status_code=204, summary="Delete an item (owner or administrator)")
@shared(Permission.ITEMS_MANAGE)
async def delete_item(
    public_id: PublicId,
    principal: CurrentPrincipal,
    service: Service,
    preconditions: ItemPreconditions,
) -> None:
    await service.delete(public_id, principal, preconditions)


@router.post("/{public_id}/restore", summary="Restore a deleted item (owner or administrator)")
@shared(Permission.ITEMS_MANAGE)
async def restore_item(
    public_id: PublicId,
    principal: CurrentPrincipal,
    service: Service,
    preconditions: ItemPreconditions,
    respond: Responder,
) -> SuccessResponse[ItemResponse]:
    item = await service.restore(public_id, principal, preconditions)
    return respond.ok(item, ItemResponse)
