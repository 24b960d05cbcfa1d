"""The audit trail of commands."""
# ruff: noqa: PLC0415

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from mscr.project import Project
    from mscr.services.audit_event_service import AuditTrail


def audit_trail(project: "Project", session: "AsyncSession", command: str) -> "AuditTrail":
    """Return the trail that records `command` in its transaction. Its actor is unknown."""
    from mscr.core.client import COMMAND_LINE, Origin
    from mscr.core.rate_limit import RequestLimiter
    from mscr.repositories.audit_event_repository import AuditEventRepository
    from mscr.services.audit_event_service import AuditTrail

    return AuditTrail(
        AuditEventRepository(session, project.tables()),
        Origin(COMMAND_LINE, command),
        requests=RequestLimiter(project.get_settings()),
    )
