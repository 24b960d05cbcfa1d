from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from mscr.core.exceptions import ServiceUnavailableError
from mscr.http.anonymous import unlimited
from mscr.http.openapi import problem_responses
from mscr.http.responses import SuccessResponse, success_response
from mscr.http.routing import Router
from mscr.repositories.health_repository import HealthRepository
from mscr.schemas.health_schemas import HealthResponse, LivenessResponse
from mscr.server.status import find_status
from mscr.services.health_service import HealthService

if TYPE_CHECKING:
    from mscr.db.session import Database

router = Router(prefix="/health", tags=["Health"])


@unlimited
async def get_service(request: Request) -> HealthService:
    database: Database = request.app.state.database
    return HealthService(
        HealthRepository(database.probe_sessions, database.schema), flight=database.probe
    )


async def refuse_while_draining(request: Request) -> None:
    """Raise `ServiceUnavailableError` while the server drains before it stops."""
    status = find_status(request.scope)
    if status is not None and status.is_draining:
        raise ServiceUnavailableError("The server is stopping.")


Service = Annotated[HealthService, Depends(get_service)]


@router.get(
    "",
    operation_id="health",
    summary="Whether this process can serve requests, and its version",
    dependencies=[Depends(refuse_while_draining)],
    responses=problem_responses(ServiceUnavailableError),
)
async def health(request: Request, service: Service) -> SuccessResponse[HealthResponse]:
    await service.check_ready()
    return success_response(HealthResponse(version=request.app.version))


@router.get("/live", operation_id="health_live", summary="Whether this process runs")
@unlimited
async def live() -> SuccessResponse[LivenessResponse]:
    """Checks no dependency: a restart would not repair one."""
    return success_response(LivenessResponse())


@router.get(
    "/ready",
    operation_id="health_ready",
    summary="Whether this process is ready for requests",
    dependencies=[Depends(refuse_while_draining)],
    responses=problem_responses(ServiceUnavailableError),
)
async def ready(service: Service) -> SuccessResponse[LivenessResponse]:
    await service.check_ready()
    return success_response(LivenessResponse())
