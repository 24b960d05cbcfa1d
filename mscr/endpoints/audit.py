"""The audit log of a request, as a dependency of routes."""

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from mscr.core.security.principal import Principal
from mscr.endpoints.database import DbSession
from mscr.endpoints.requests import collaborators_of, origin_of, tables_of
from mscr.models.audit_event import AuditAction
from mscr.repositories.audit_event_repository import AuditEventRepository
from mscr.services.audit_event_service import AuditTrail, Parties

if TYPE_CHECKING:
    from mscr.db.session import Database


# A plain function, not a dependency, for the reason given in `mscr.endpoints.requests`.
def audit_trail(request: Request, db: AsyncSession) -> AuditTrail:
    requests = collaborators_of(request).requests
    return AuditTrail(
        AuditEventRepository(db, tables_of(request)), origin_of(request), requests=requests
    )


async def get_audit_trail(request: Request, db: DbSession) -> AuditTrail:
    return audit_trail(request, db)


async def note_refusal(request: Request, caller: Principal, reason: str) -> None:
    """Audit the refusal of a caller (ASVS v16.3.2), in a transaction of its own."""
    database: Database = request.app.state.database
    async with database.sessions() as session:
        await audit_trail(request, session).refuse(
            AuditAction.ACCESS,
            reason,
            Parties(actor=caller.public_id, session=caller.session_id),
            once_for=f"{caller.public_id} {origin_of(request).operation}",
        )


Audit = Annotated[AuditTrail, Depends(get_audit_trail)]
