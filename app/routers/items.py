from typing import Annotated

from fastapi import APIRouter, Depends, Query

from app.core.dependencies import (
    AppCollaborators,
    CurrentPrincipal,
    DbSession,
    PublicId,
    ReadDbSession,
)
from app.core.exceptions import (
    NotFoundError,
    ServiceUnavailableError,
    UnauthorizedError,
    ValidationFailedError,
)
from app.core.openapi import problem_responses
from app.core.preconditions import Preconditions
from app.core.responses import PageResponse, SuccessResponse, page_response
from app.repositories.item_repository import ItemRepository
from app.routers.idempotency import idempotency_of
from app.routers.preconditions import preconditions_on
from app.routers.resource_response import CREATED, Answer
from app.schemas.item_schemas import (
    DeletedItemListQuery,
    DeletedItemResponse,
    ItemCreate,
    ItemListQuery,
    ItemResponse,
    ItemSearchQuery,
    ItemUpdate,
)
from app.services.idempotency_service import IdempotencyService
from app.services.item_service import ItemService

router = APIRouter(
    prefix="/items",
    tags=["Items"],
    responses=problem_responses(UnauthorizedError, ValidationFailedError, ServiceUnavailableError),
)


async def get_service(db: DbSession, collaborators: AppCollaborators) -> ItemService:
    return ItemService(ItemRepository(db), pager=collaborators.pager)


async def get_reading_service(db: ReadDbSession, collaborators: AppCollaborators) -> ItemService:
    return ItemService(ItemRepository(db), pager=collaborators.pager)


Service = Annotated[ItemService, Depends(get_service)]
ReadingService = Annotated[ItemService, Depends(get_reading_service)]
ItemPreconditions = Annotated[Preconditions, preconditions_on(ItemResponse)]
ItemIdempotency = Annotated[IdempotencyService, idempotency_of(ItemResponse)]


@router.get("", operation_id="list_items", summary="Published items, and the caller's own")
async def list_items(
    query: Annotated[ItemListQuery, Query()], principal: CurrentPrincipal, service: ReadingService
) -> PageResponse[ItemResponse]:
    return page_response(await service.list_page(query, principal), ItemResponse)


@router.post(
    "", status_code=201, operation_id="create_item", summary="Create an item", responses=CREATED
)
async def create_item(
    data: ItemCreate,
    principal: CurrentPrincipal,
    service: Service,
    idempotency: ItemIdempotency,
    answer: Answer,
) -> SuccessResponse[ItemResponse]:
    return answer.created(await service.create(data, principal, idempotency), ItemResponse)


@router.get("/my", operation_id="list_my_items", summary="The caller's items in every state")
async def list_my_items(
    query: Annotated[ItemListQuery, Query()], principal: CurrentPrincipal, service: ReadingService
) -> PageResponse[ItemResponse]:
    return page_response(await service.list_own(query, principal), ItemResponse)


@router.get(
    "/deleted",
    operation_id="list_deleted_items",
    summary="Deleted items that the caller may restore (administrators: everybody's)",
)
async def list_deleted_items(
    query: Annotated[DeletedItemListQuery, Query()],
    principal: CurrentPrincipal,
    service: ReadingService,
) -> PageResponse[DeletedItemResponse]:
    return page_response(await service.list_deleted(query, principal), DeletedItemResponse)


@router.get(
    "/search", operation_id="search_items", summary="Items with the words of q, the best first"
)
async def search_items(
    query: Annotated[ItemSearchQuery, Query()], principal: CurrentPrincipal, service: ReadingService
) -> PageResponse[ItemResponse]:
    return page_response(await service.search(query, principal), ItemResponse)


@router.get(
    "/{public_id}",
    operation_id="get_item",
    summary="One item",
    responses=problem_responses(NotFoundError),
)
async def get_item(
    public_id: PublicId,
    principal: CurrentPrincipal,
    service: ReadingService,
    preconditions: ItemPreconditions,
    answer: Answer,
) -> SuccessResponse[ItemResponse]:
    return answer.show(await service.get(public_id, principal, preconditions), ItemResponse)


@router.patch(
    "/{public_id}",
    operation_id="update_item",
    summary="Change an item (owner or administrator)",
    responses=problem_responses(NotFoundError),
)
async def update_item(
    public_id: PublicId,
    data: ItemUpdate,
    principal: CurrentPrincipal,
    service: Service,
    preconditions: ItemPreconditions,
    answer: Answer,
) -> SuccessResponse[ItemResponse]:
    item = await service.update(public_id, data, principal, preconditions)
    return answer.show(item, ItemResponse)


@router.delete(
    "/{public_id}",
    status_code=204,
    operation_id="delete_item",
    summary="Delete an item (owner or administrator)",
    responses=problem_responses(NotFoundError),
)
async def delete_item(
    public_id: PublicId,
    principal: CurrentPrincipal,
    service: Service,
    preconditions: ItemPreconditions,
) -> None:
    await service.delete(public_id, principal, preconditions)


@router.post(
    "/{public_id}/restore",
    operation_id="restore_item",
    summary="Undo the deletion of an item (owner or administrator)",
    responses=problem_responses(NotFoundError),
)
async def restore_item(
    public_id: PublicId,
    principal: CurrentPrincipal,
    service: Service,
    preconditions: ItemPreconditions,
    answer: Answer,
) -> SuccessResponse[ItemResponse]:
    item = await service.restore(public_id, principal, preconditions)
    return answer.show(item, ItemResponse)
