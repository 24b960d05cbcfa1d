from app.models.base import Base
from mscr.models.audit_event import Action, AuditEventMixin, audit_indexes


class AppAction(Action):
    """Add your own actions of the audit log here. Those of the kit are in `AuditAction`.

    A value has at most 40 characters. Names and values must differ from the kit's.
    """


class AuditEvent(Base, AuditEventMixin):
    __tablename__ = "audit_events"
    __table_args__ = audit_indexes("audit_events")
