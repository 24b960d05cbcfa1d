from enum import Enum
from typing import Annotated

from fastapi import Depends, Request

from mscr.core.exceptions import (
    ForbiddenError,
    JobNotDeadError,
    NotFoundError,
    ServiceUnavailableError,
    UnauthorizedError,
    ValidationFailedError,
)
from mscr.core.security.principal import Principal
from mscr.endpoints.audit import Audit
from mscr.endpoints.database import DbSession, ReadDbSession
from mscr.endpoints.outbox import wake_jobs
from mscr.endpoints.permissions import require_permission
from mscr.endpoints.requests import PublicId, collaborators_of, tables_of
from mscr.http.openapi import problem_responses
from mscr.http.request_parameters import query_model
from mscr.http.responses import PageResponse, SuccessResponse, page_response, success_response
from mscr.http.routing import Router
from mscr.repositories.job_repository import JobRepository
from mscr.schemas.job_schemas import JobListQuery, JobResponse
from mscr.services.job_service import DeadJobService, JobListService


async def get_list_service(request: Request, db: ReadDbSession) -> JobListService:
    repo = JobRepository(db, tables_of(request))
    return JobListService(repo, pager=collaborators_of(request).pager)


async def get_service(request: Request, db: DbSession, audit: Audit) -> DeadJobService:
    return DeadJobService(JobRepository(db, tables_of(request)), audit)


ListService = Annotated[JobListService, Depends(get_list_service)]
Service = Annotated[DeadJobService, Depends(get_service)]


def job_router(permission: Enum) -> Router:
    """Return the router that lists jobs and decides about dead ones, with the permission."""
    router = Router(
        prefix="/jobs",
        tags=["Jobs"],
        responses=problem_responses(
            UnauthorizedError, ForbiddenError, ValidationFailedError, ServiceUnavailableError
        ),
    )

    @router.get("", summary="List jobs that wait or are dead")
    async def list_jobs(
        reader: Annotated[Principal, require_permission(permission)],
        query: Annotated[JobListQuery, query_model(JobListQuery)],
        service: ListService,
    ) -> PageResponse[JobResponse]:
        return page_response(await service.list_page(query, reader), JobResponse)

    @router.post(
        "/{public_id}/retry",
        summary="Make a dead job due again",
        responses=problem_responses(NotFoundError, JobNotDeadError),
    )
    async def retry_job(
        public_id: PublicId,
        caller: Annotated[Principal, require_permission(permission)],
        service: Service,
        request: Request,
    ) -> SuccessResponse[JobResponse]:
        job = await service.retry(public_id, caller)
        wake_jobs(request)
        return success_response(JobResponse.model_validate(job))

    @router.delete(
        "/{public_id}",
        status_code=204,
        summary="Delete a dead job",
        responses=problem_responses(NotFoundError, JobNotDeadError),
    )
    async def drop_job(
        public_id: PublicId,
        caller: Annotated[Principal, require_permission(permission)],
        service: Service,
    ) -> None:
        await service.drop(public_id, caller)

    return router
