"""The tables that the kit reads and writes."""

from typing import Final

from examples.realworld.models.kit_tables import (
    AuditEvent,
    IdempotencyKey,
    Job,
    MailedLink,
    RefreshToken,
)
from examples.realworld.models.user import User
from mscr.models.tables import Tables

TABLES: Final = Tables(
    user=User,
    refresh_token=RefreshToken,
    audit_event=AuditEvent,
    idempotency_key=IdempotencyKey,
    job=Job,
    mailed_link=MailedLink,
)
