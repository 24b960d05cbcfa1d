from typing import Annotated

from fastapi import Depends
from fastapi.responses import StreamingResponse

from examples.catalogue.core.permissions import Permission
from examples.catalogue.models.item import ItemStatus
from examples.catalogue.repositories.item_repository import ItemRepository
from examples.catalogue.repositories.tag_repository import TagRepository
from examples.catalogue.schemas.item_schemas import (
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
from examples.catalogue.services.item_service import ItemService
from mscr.core.exceptions import ValidationFailedError
from mscr.endpoints.bulk import BULK, BulkIdempotency, BulkResponder, ledger_of
from mscr.endpoints.callers import CurrentPrincipal
from mscr.endpoints.database import DbSession, ReadDbSession, StreamingReadDbSession
from mscr.endpoints.exports import Export, export_of
from mscr.endpoints.idempotency import idempotency_of
from mscr.endpoints.imports import (
    IMPORT,
    ImportIdempotency,
    ImportResponder,
    import_body,
    rows_of,
)
from mscr.endpoints.permissions import shared
from mscr.endpoints.preconditions import preconditions_on
from mscr.endpoints.requests import AppCollaborators, PublicId
from mscr.endpoints.resource_responder import CREATED, Responder
from mscr.endpoints.row_format import RowFormat
from mscr.http.openapi import problem_responses
from mscr.http.preconditions import Preconditions
from mscr.http.request_parameters import query_model
from mscr.http.responses import PageResponse, SuccessResponse, page_response
from mscr.http.routing import Router
from mscr.schemas.bulk_schemas import BulkRequest, BulkResponse, ImportResponse, RowTarget
from mscr.services.idempotency_service import IdempotencyService
from mscr.services.rows import RowLedger

router = Router(prefix="/items", tags=["Items"], responses=problem_responses(ValidationFailedError))


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
# Columns of an export that the server assigns are accepted in a file, and ignored.
ItemRows = Annotated[list[ItemRow], rows_of(ItemRow, ignoring=ItemExported)]
NdjsonItemRows = Annotated[
    list[ItemRow], rows_of(ItemRow, ignoring=ItemExported, formats=[RowFormat.NDJSON])
]
IMPORTED = ItemRow(title="Buy milk", description="Two litres")
ItemIdempotency = Annotated[IdempotencyService, idempotency_of(ItemResponse)]
EXPORTED = export_of(ItemExported, status=ItemStatus.ACTIVE)


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


@router.get(
    "/export",
    summary="Export all rows of the list as NDJSON or CSV",
    response_class=StreamingResponse,
    responses=EXPORTED,
)
async def export_items(
    principal: CurrentPrincipal,
    query: Annotated[ItemExportQuery, query_model(ItemExportQuery)],
    service: ExportingService,
    export: Export,
) -> StreamingResponse:
    return export.send(await service.export(query, principal), ItemExported, query, name="items")


# Before the routes of bulk and import: each route in front of it costs every request a comparison.
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


@router.post(
    "/import",
    status_code=201,
    summary="Create the items of a CSV file, all or none",
    responses=IMPORT,
    openapi_extra=import_body(IMPORTED, RowFormat.CSV),
)
async def import_items(
    principal: CurrentPrincipal,
    rows: ItemRows,
    service: Service,
    idempotency: ImportIdempotency,
    respond: ImportResponder,
) -> SuccessResponse[ImportResponse]:
    """Also accepts NDJSON, by its Content-Type."""
    return respond.report(
        await service.import_rows(rows, principal, idempotency, dry_run=respond.dry_run)
    )


@router.post(
    "/import/ndjson",
    status_code=201,
    summary="Create the items of an NDJSON file, all or none",
    responses=IMPORT,
    openapi_extra=import_body(IMPORTED, RowFormat.NDJSON),
)
async def import_items_ndjson(
    principal: CurrentPrincipal,
    rows: NdjsonItemRows,
    service: Service,
    idempotency: ImportIdempotency,
    respond: ImportResponder,
) -> SuccessResponse[ImportResponse]:
    return respond.report(
        await service.import_rows(rows, principal, idempotency, dry_run=respond.dry_run)
    )


@router.post("/bulk", summary="Create up to 100 items", responses=BULK)
async def create_items(
    data: BulkRequest[ItemRow],
    principal: CurrentPrincipal,
    service: Service,
    ledger: ItemLedger,
    idempotency: BulkIdempotency,
    respond: BulkResponder,
) -> SuccessResponse[BulkResponse]:
    return respond.report(await service.create_many(data, principal, ledger, idempotency))


@router.patch(
    "/bulk", summary="Change up to 100 items (each: owner or administrator)", responses=BULK
)
async def update_items(
    data: BulkRequest[ItemUpdateRow],
    principal: CurrentPrincipal,
    service: Service,
    ledger: ItemLedger,
    idempotency: BulkIdempotency,
    respond: BulkResponder,
) -> SuccessResponse[BulkResponse]:
    return respond.report(await service.update_many(data, principal, ledger, idempotency))


@router.post(
    "/bulk-delete", summary="Delete up to 100 items (each: owner or administrator)", responses=BULK
)
async def delete_items(
    data: BulkRequest[RowTarget],
    principal: CurrentPrincipal,
    service: Service,
    ledger: ItemLedger,
    idempotency: BulkIdempotency,
    respond: BulkResponder,
) -> SuccessResponse[BulkResponse]:
    return respond.report(await service.delete_many(data, principal, ledger, idempotency))


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
