"""All models: importing this package fills `Base.metadata`."""

from app.models.audit_event import AuditEvent
from app.models.base import (
    Base,
    PublicIdMixin,
    SoftDeleteMixin,
    TimestampMixin,
    VersionMixin,
)
from app.models.idempotency_key import IdempotencyKey
from app.models.item import Item, ItemStatus
from app.models.job import Job
from app.models.mailed_link import MailedLink
from app.models.refresh_token import RefreshToken
from app.models.user import User, UserRole
from mscr.models.audit_event import AuditAction, AuditOutcome

__all__ = [
    "AuditAction",
    "AuditEvent",
    "AuditOutcome",
    "Base",
    "IdempotencyKey",
    "Item",
    "ItemStatus",
    "Job",
    "MailedLink",
    "PublicIdMixin",
    "RefreshToken",
    "SoftDeleteMixin",
    "TimestampMixin",
    "User",
    "UserRole",
    "VersionMixin",
]
