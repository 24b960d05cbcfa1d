from typing import Annotated

from fastapi import Depends

from examples.catalogue.core.exceptions import TagNameTakenError
from examples.catalogue.repositories.tag_repository import TagRepository
from examples.catalogue.schemas.tag_schemas import (
    CountedTagResponse,
    TagListQuery,
    TagResponse,
    TagWrite,
)
from examples.catalogue.services.tag_service import TagService
from mscr.core.exceptions import ValidationFailedError
from mscr.endpoints.callers import CurrentPrincipal
from mscr.endpoints.database import DbSession, ReadDbSession
from mscr.endpoints.idempotency import idempotency_of
from mscr.endpoints.preconditions import preconditions_on
from mscr.endpoints.requests import AppCollaborators, PublicId
from mscr.endpoints.resource_responder import CREATED, Responder
from mscr.http.openapi import problem_responses
from mscr.http.preconditions import Preconditions
from mscr.http.request_parameters import query_model
from mscr.http.responses import PageResponse, SuccessResponse, page_response
from mscr.http.routing import Router
from mscr.services.idempotency_service import IdempotencyService

router = Router(prefix="/tags", tags=["Tags"], responses=problem_responses(ValidationFailedError))


async def get_service(db: DbSession, collaborators: AppCollaborators) -> TagService:
    return TagService(TagRepository(db), pager=collaborators.pager)


async def get_reading_service(db: ReadDbSession, collaborators: AppCollaborators) -> TagService:
    return TagService(TagRepository(db), pager=collaborators.pager)


Service = Annotated[TagService, Depends(get_service)]
ReadingService = Annotated[TagService, Depends(get_reading_service)]
TagPreconditions = Annotated[Preconditions, preconditions_on(TagResponse)]
TagIdempotency = Annotated[IdempotencyService, idempotency_of(TagResponse)]


@router.get("", summary="List the caller's tags and the number of items of each")
async def list_tags(
    owner: CurrentPrincipal,
    query: Annotated[TagListQuery, query_model(TagListQuery)],
    service: ReadingService,
) -> PageResponse[CountedTagResponse]:
    return page_response(await service.list_page(query, owner), CountedTagResponse)


@router.post(
    "",
    status_code=201,
    summary="Create a tag (items create their missing tags)",
    responses=CREATED | problem_responses(TagNameTakenError),
)
async def create_tag(
    data: TagWrite,
    owner: CurrentPrincipal,
    service: Service,
    idempotency: TagIdempotency,
    respond: Responder,
) -> SuccessResponse[TagResponse]:
    return respond.created(await service.create(data, owner, idempotency), TagResponse)


@router.get("/{public_id}", summary="Get a tag")
async def get_tag(
    public_id: PublicId,
    owner: CurrentPrincipal,
    service: ReadingService,
    preconditions: TagPreconditions,
    respond: Responder,
) -> SuccessResponse[TagResponse]:
    return respond.ok(await service.get(public_id, owner, preconditions), TagResponse)


@router.patch(
    "/{public_id}",
    summary="Rename a tag on every item that has it",
    responses=problem_responses(TagNameTakenError),
)
async def update_tag(
    public_id: PublicId,
    data: TagWrite,
    owner: CurrentPrincipal,
    service: Service,
    preconditions: TagPreconditions,
    respond: Responder,
) -> SuccessResponse[TagResponse]:
    tag = await service.rename(public_id, data, owner, preconditions)
    return respond.ok(tag, TagResponse)


@router.delete(
    "/{public_id}", status_code=204, summary="Delete a tag and remove it from every item"
)
async def delete_tag(
    public_id: PublicId,
    owner: CurrentPrincipal,
    service: Service,
    preconditions: TagPreconditions,
) -> None:
    await service.delete(public_id, owner, preconditions)
