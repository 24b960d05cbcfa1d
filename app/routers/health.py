from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from app.core.anonymous import unlimited
from app.core.exceptions import ServiceUnavailableError
from app.core.openapi import problem_responses
from app.core.responses import SuccessResponse, success_response
from app.core.routing import Router
from app.repositories.health_repository import HealthRepository
from app.schemas.health_schemas import HealthResponse, LivenessResponse
from app.server.status import find_status
from app.services.health_service import HealthService

if TYPE_CHECKING:
    from app.db.session import Database

router = Router(prefix="/health", tags=["Health"])


@unlimited
async def get_service(request: Request) -> HealthService:
    database: Database = request.app.state.database
    return HealthService(
        HealthRepository(database.probe_sessions, database.schema), flight=database.probe
    )


async def refuse_while_draining(request: Request) -> None:
    """Raise `ServiceUnavailableError` from the moment at which the server is told to stop."""
    status = find_status(request.scope)
    if status is not None and status.is_draining:
        raise ServiceUnavailableError("The server is stopping.")


Service = Annotated[HealthService, Depends(get_service)]


@router.get(
    "",
    operation_id="health",
    summary="Whether this process can serve, and what it runs",
    dependencies=[Depends(refuse_while_draining)],
    responses=problem_responses(ServiceUnavailableError),
)
async def health(request: Request, service: Service) -> SuccessResponse[HealthResponse]:
    await service.check_ready()
    return success_response(HealthResponse(version=request.app.version))


@router.get("/live", operation_id="health_live", summary="Whether this process runs")
@unlimited
async def live() -> SuccessResponse[LivenessResponse]:
    """Asks nothing of any dependency: a restart would not mend those."""
    return success_response(LivenessResponse())


@router.get(
    "/ready",
    operation_id="health_ready",
    summary="Whether to send requests here",
    dependencies=[Depends(refuse_while_draining)],
    responses=problem_responses(ServiceUnavailableError),
)
async def ready(service: Service) -> SuccessResponse[LivenessResponse]:
    await service.check_ready()
    return success_response(LivenessResponse())
