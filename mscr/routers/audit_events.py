from enum import Enum
from typing import Annotated

from fastapi import Depends, Request

from mscr.core.exceptions import (
    ForbiddenError,
    ServiceUnavailableError,
    UnauthorizedError,
    ValidationFailedError,
)
from mscr.core.security.principal import Principal
from mscr.endpoints.database import ReadDbSession
from mscr.endpoints.permissions import require_permission
from mscr.endpoints.requests import collaborators_of, tables_of
from mscr.http.openapi import problem_responses
from mscr.http.request_parameters import query_model
from mscr.http.responses import PageResponse, page_response
from mscr.http.routing import Router
from mscr.models.audit_event import Action
from mscr.repositories.audit_event_repository import AuditEventRepository
from mscr.schemas.audit_event_schemas import (
    AuditEventListQuery,
    AuditEventResponse,
    audit_event_list_query,
)
from mscr.services.audit_event_service import AuditEventService


async def get_service(request: Request, db: ReadDbSession) -> AuditEventService:
    return AuditEventService(
        AuditEventRepository(db, tables_of(request)), pager=collaborators_of(request).pager
    )


Service = Annotated[AuditEventService, Depends(get_service)]


def audit_event_router(permission: Enum, own_actions: type[Action]) -> Router:
    """Return the router that lists the audit log, for callers who have the permission.

    The list can be filtered by the kit's actions and by `own_actions`, the application's.
    Raises `ValueError` if an own action has a name or value of the kit's, or is too long.
    """
    router = Router(
        prefix="/audit-events",
        tags=["Audit log"],
        responses=problem_responses(
            UnauthorizedError, ForbiddenError, ValidationFailedError, ServiceUnavailableError
        ),
    )

    @router.get("", summary="List the events of the audit log")
    async def list_audit_events(
        reader: Annotated[Principal, require_permission(permission)],
        query: Annotated[AuditEventListQuery, query_model(audit_event_list_query(own_actions))],
        service: Service,
    ) -> PageResponse[AuditEventResponse]:
        return page_response(await service.list_page(query, reader), AuditEventResponse)

    return router
