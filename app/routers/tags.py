from typing import Annotated

from fastapi import Depends

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
    TagNameTakenError,
    UnauthorizedError,
    ValidationFailedError,
)
from app.core.openapi import problem_responses
from app.core.preconditions import Preconditions
from app.core.request_parameters import query_of
from app.core.responses import PageResponse, SuccessResponse, page_response
from app.core.routing import Router
from app.repositories.tag_repository import TagRepository
from app.routers.idempotency import idempotency_of
from app.routers.preconditions import preconditions_on
from app.routers.resource_response import CREATED, Answer
from app.schemas.tag_schemas import CountedTagResponse, TagListQuery, TagResponse, TagWrite
from app.services.idempotency_service import IdempotencyService
from app.services.tag_service import TagService

router = Router(
    prefix="/tags",
    tags=["Tags"],
    responses=problem_responses(UnauthorizedError, ValidationFailedError, ServiceUnavailableError),
)


async def get_service(db: DbSession, collaborators: AppCollaborators) -> TagService:
    return TagService(TagRepository(db), pager=collaborators.pager)


async def get_reading_service(db: ReadDbSession, collaborators: AppCollaborators) -> TagService:
    return TagService(TagRepository(db), pager=collaborators.pager)


Service = Annotated[TagService, Depends(get_service)]
ReadingService = Annotated[TagService, Depends(get_reading_service)]
TagPreconditions = Annotated[Preconditions, preconditions_on(TagResponse)]
TagIdempotency = Annotated[IdempotencyService, idempotency_of(TagResponse)]


@router.get(
    "", operation_id="list_tags", summary="The caller's tags, with how many items have them"
)
async def list_tags(
    owner: CurrentPrincipal,
    query: Annotated[TagListQuery, query_of(TagListQuery)],
    service: ReadingService,
) -> PageResponse[CountedTagResponse]:
    return page_response(await service.list_page(query, owner), CountedTagResponse)


@router.post(
    "",
    status_code=201,
    operation_id="create_tag",
    summary="Create a tag (items make theirs by themselves)",
    responses=CREATED | problem_responses(TagNameTakenError),
)
async def create_tag(
    data: TagWrite,
    owner: CurrentPrincipal,
    service: Service,
    idempotency: TagIdempotency,
    answer: Answer,
) -> SuccessResponse[TagResponse]:
    return answer.created(await service.create(data, owner, idempotency), TagResponse)


@router.get(
    "/{public_id}",
    operation_id="get_tag",
    summary="One tag",
    responses=problem_responses(NotFoundError),
)
async def get_tag(
    public_id: PublicId,
    owner: CurrentPrincipal,
    service: ReadingService,
    preconditions: TagPreconditions,
    answer: Answer,
) -> SuccessResponse[TagResponse]:
    return answer.show(await service.get(public_id, owner, preconditions), TagResponse)


@router.patch(
    "/{public_id}",
    operation_id="update_tag",
    summary="Rename a tag, on every item that has it",
    responses=problem_responses(NotFoundError, TagNameTakenError),
)
async def update_tag(
    public_id: PublicId,
    data: TagWrite,
    owner: CurrentPrincipal,
    service: Service,
    preconditions: TagPreconditions,
    answer: Answer,
) -> SuccessResponse[TagResponse]:
    tag = await service.rename(public_id, data, owner, preconditions)
    return answer.show(tag, TagResponse)


@router.delete(
    "/{public_id}",
    status_code=204,
    operation_id="delete_tag",
    summary="Delete a tag, and take it off every item",
    responses=problem_responses(NotFoundError),
)
async def delete_tag(
    public_id: PublicId,
    owner: CurrentPrincipal,
    service: Service,
    preconditions: TagPreconditions,
) -> None:
    await service.delete(public_id, owner, preconditions)
