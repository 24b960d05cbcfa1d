from typing import Annotated

from fastapi import Depends

from app.core.dependencies import AppCollaborators, ReadDbSession, require_permission
from app.core.exceptions import (
    ForbiddenError,
    ServiceUnavailableError,
    UnauthorizedError,
    ValidationFailedError,
)
from app.core.openapi import problem_responses
from app.core.request_parameters import query_of
from app.core.responses import PageResponse, page_response
from app.core.routing import Router
from app.core.security.permissions import Permission
from app.core.security.principal import Principal
from app.repositories.audit_event_repository import AuditEventRepository
from app.schemas.audit_event_schemas import AuditEventListQuery, AuditEventResponse
from app.services.audit_event_service import AuditEventService

router = Router(
    prefix="/audit-events",
    tags=["Audit log"],
    responses=problem_responses(
        UnauthorizedError, ForbiddenError, ValidationFailedError, ServiceUnavailableError
    ),
)


async def get_service(db: ReadDbSession, collaborators: AppCollaborators) -> AuditEventService:
    return AuditEventService(AuditEventRepository(db), pager=collaborators.pager)


Service = Annotated[AuditEventService, Depends(get_service)]
AuditReader = Annotated[Principal, require_permission(Permission.AUDIT_READ)]


@router.get("", operation_id="list_audit_events", summary="Who did what, when and from where")
async def list_audit_events(
    reader: AuditReader,
    query: Annotated[AuditEventListQuery, query_of(AuditEventListQuery)],
    service: Service,
) -> PageResponse[AuditEventResponse]:
    return page_response(await service.list_page(query, reader), AuditEventResponse)
