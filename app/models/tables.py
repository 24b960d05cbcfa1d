"""The tables that the kit reads and writes."""

from typing import Final

from app.models.audit_event import AuditEvent
from app.models.idempotency_key import IdempotencyKey
from app.models.job import Job
from app.models.mailed_link import MailedLink
from app.models.refresh_token import RefreshToken
from app.models.user import User
from mscr.models.tables import Tables

TABLES: Final = Tables(
    user=User,
    refresh_token=RefreshToken,
    audit_event=AuditEvent,
    idempotency_key=IdempotencyKey,
    job=Job,
    mailed_link=MailedLink,
)
