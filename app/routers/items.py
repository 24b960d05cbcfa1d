from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends
from fastapi.responses import StreamingResponse

from app.core.bulk import RowLedger
from app.core.dependencies import (
    AppCollaborators,
    CurrentPrincipal,
    DbSession,
    PublicId,
    ReadDbSession,
    StreamingReadDbSession,
)
from app.core.exceptions import (
    NotFoundError,
    ServiceUnavailableError,
    UnauthorizedError,
    ValidationFailedError,
)
from app.core.openapi import problem_responses
from app.core.preconditions import Preconditions
from app.core.request_parameters import query_of
from app.core.responses import PageResponse, SuccessResponse, page_response
from app.core.routing import Router
from app.core.row_format import RowFormat
from app.models.item import ItemStatus
from app.repositories.item_repository import ItemRepository
from app.repositories.tag_repository import TagRepository
from app.routers.bulk import BULK, BulkIdempotency, bulk_response, ledger_of
from app.routers.exports import Export, export_of
from app.routers.idempotency import idempotency_of
from app.routers.imports import (
    IMPORT,
    ImportAnswer,
    ImportIdempotency,
    import_body,
    rows_of,
)
from app.routers.preconditions import preconditions_on
from app.routers.resource_response import CREATED, Answer
from app.schemas.bulk_schemas import BulkRequest, BulkResponse, ImportResponse, RowTarget
from app.schemas.item_schemas import (
    DeletedItemListQuery,
    DeletedItemResponse,
    ItemCreate,
    ItemExported,
    ItemExportQuery,
    ItemListQuery,
    ItemResponse,
    ItemRow,
    ItemSearchQuery,
    ItemUpdate,
    ItemUpdateRow,
)
from app.services.idempotency_service import IdempotencyService
from app.services.item_service import ItemService

router = Router(
    prefix="/items",
    tags=["Items"],
    responses=problem_responses(UnauthorizedError, ValidationFailedError, ServiceUnavailableError),
)


async def get_service(db: DbSession, collaborators: AppCollaborators) -> ItemService:
    return ItemService(ItemRepository(db), TagRepository(db), pager=collaborators.pager)


async def get_reading_service(db: ReadDbSession, collaborators: AppCollaborators) -> ItemService:
    return ItemService(ItemRepository(db), TagRepository(db), pager=collaborators.pager)


async def get_exporting_service(
    db: StreamingReadDbSession, collaborators: AppCollaborators
) -> ItemService:
    return ItemService(ItemRepository(db), TagRepository(db), pager=collaborators.pager)


Service = Annotated[ItemService, Depends(get_service)]
ReadingService = Annotated[ItemService, Depends(get_reading_service)]
ExportingService = Annotated[ItemService, Depends(get_exporting_service)]
ItemPreconditions = Annotated[Preconditions, preconditions_on(ItemResponse)]
ItemLedger = Annotated[RowLedger, ledger_of(ItemResponse)]
# What an export has, and only the server gives, may be there, and is not taken over.
ItemRows = Annotated[list[ItemRow], rows_of(ItemRow, ignoring=ItemExported)]
NdjsonItemRows = Annotated[
    list[ItemRow], rows_of(ItemRow, ignoring=ItemExported, formats=[RowFormat.NDJSON])
]
IMPORTED = ItemRow(title="Buy milk", description="Two litres")
ItemIdempotency = Annotated[IdempotencyService, idempotency_of(ItemResponse)]
EXPORTED = export_of(
    ItemExported(
        public_id=UUID("0191a2b3-c4d5-7e6f-8a9b-0c1d2e3f4a5b"),
        created_at=datetime(2027, 1, 31, 12, tzinfo=UTC),
        updated_at=datetime(2027, 1, 31, 12, tzinfo=UTC),
        title="Buy milk",
        description="Two litres",
        status=ItemStatus.ACTIVE,
        owner_public_id=UUID("0191a2b3-c4d5-7e6f-8a9b-0c1d2e3f4a5c"),
    )
)


@router.get("", operation_id="list_items", summary="Published items, and the caller's own")
async def list_items(
    principal: CurrentPrincipal,
    query: Annotated[ItemListQuery, query_of(ItemListQuery)],
    service: ReadingService,
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
    principal: CurrentPrincipal,
    query: Annotated[ItemListQuery, query_of(ItemListQuery)],
    service: ReadingService,
) -> PageResponse[ItemResponse]:
    return page_response(await service.list_own(query, principal), ItemResponse)


@router.get(
    "/deleted",
    operation_id="list_deleted_items",
    summary="Deleted items that the caller may restore (administrators: everybody's)",
)
async def list_deleted_items(
    principal: CurrentPrincipal,
    query: Annotated[DeletedItemListQuery, query_of(DeletedItemListQuery)],
    service: ReadingService,
) -> PageResponse[DeletedItemResponse]:
    return page_response(await service.list_deleted(query, principal), DeletedItemResponse)


@router.get(
    "/search", operation_id="search_items", summary="Items with the words of q, the best first"
)
async def search_items(
    principal: CurrentPrincipal,
    query: Annotated[ItemSearchQuery, query_of(ItemSearchQuery)],
    service: ReadingService,
) -> PageResponse[ItemResponse]:
    return page_response(await service.search(query, principal), ItemResponse)


@router.get(
    "/export",
    operation_id="export_items",
    summary="All that the list has pages of, as NDJSON or CSV",
    response_class=StreamingResponse,
    responses=EXPORTED,
)
async def export_items(
    principal: CurrentPrincipal,
    query: Annotated[ItemExportQuery, query_of(ItemExportQuery)],
    service: ExportingService,
    export: Export,
) -> StreamingResponse:
    return export.send(await service.export(query, principal), ItemExported, query, name="items")


@router.post(
    "/import",
    status_code=201,
    operation_id="import_items",
    summary="Create the items of a CSV file: all, or none",
    responses=IMPORT,
    openapi_extra=import_body(IMPORTED, RowFormat.CSV),
)
async def import_items(
    principal: CurrentPrincipal,
    rows: ItemRows,
    service: Service,
    idempotency: ImportIdempotency,
    answer: ImportAnswer,
) -> SuccessResponse[ImportResponse]:
    """NDJSON is accepted too, by its Content-Type."""
    return answer.report(
        await service.import_rows(rows, principal, idempotency, dry_run=answer.dry_run)
    )


@router.post(
    "/import/ndjson",
    status_code=201,
    operation_id="import_items_ndjson",
    summary="Create the items of an NDJSON file: all, or none",
    responses=IMPORT,
    openapi_extra=import_body(IMPORTED, RowFormat.NDJSON),
)
async def import_items_ndjson(
    principal: CurrentPrincipal,
    rows: NdjsonItemRows,
    service: Service,
    idempotency: ImportIdempotency,
    answer: ImportAnswer,
) -> SuccessResponse[ImportResponse]:
    return answer.report(
        await service.import_rows(rows, principal, idempotency, dry_run=answer.dry_run)
    )


@router.post("/bulk", operation_id="create_items", summary="Create up to 100 items", responses=BULK)
async def create_items(
    data: BulkRequest[ItemRow],
    principal: CurrentPrincipal,
    service: Service,
    ledger: ItemLedger,
    idempotency: BulkIdempotency,
) -> SuccessResponse[BulkResponse]:
    return bulk_response(await service.create_many(data, principal, ledger, idempotency))


@router.patch(
    "/bulk",
    operation_id="update_items",
    summary="Change up to 100 items (each: owner or administrator)",
    responses=BULK,
)
async def update_items(
    data: BulkRequest[ItemUpdateRow],
    principal: CurrentPrincipal,
    service: Service,
    ledger: ItemLedger,
    idempotency: BulkIdempotency,
) -> SuccessResponse[BulkResponse]:
    return bulk_response(await service.update_many(data, principal, ledger, idempotency))


@router.post(
    "/bulk-delete",
    operation_id="delete_items",
    summary="Delete up to 100 items (each: owner or administrator)",
    responses=BULK,
)
async def delete_items(
    data: BulkRequest[RowTarget],
    principal: CurrentPrincipal,
    service: Service,
    ledger: ItemLedger,
    idempotency: BulkIdempotency,
) -> SuccessResponse[BulkResponse]:
    return bulk_response(await service.delete_many(data, principal, ledger, idempotency))


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
