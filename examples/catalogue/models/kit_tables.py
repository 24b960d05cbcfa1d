"""The tables beside the users that the kit reads and writes, with its columns only."""

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from examples.catalogue.models.base import Base
from mscr.models.audit_event import AuditEventMixin, audit_indexes
from mscr.models.idempotency_key import IdempotencyKeyMixin
from mscr.models.job import JobMixin, job_indexes
from mscr.models.mailed_link import MailedLinkMixin, mailed_link_rules
from mscr.models.refresh_token import RefreshTokenMixin


class RefreshToken(Base, RefreshTokenMixin):
    __tablename__ = "refresh_tokens"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)


class IdempotencyKey(Base, IdempotencyKeyMixin):
    __tablename__ = "idempotency_keys"
    __table_args__ = (UniqueConstraint("user_id", "operation", "key_digest"),)

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))


class AuditEvent(Base, AuditEventMixin):
    __tablename__ = "audit_events"
    __table_args__ = audit_indexes("audit_events")


class Job(Base, JobMixin):
    __tablename__ = "jobs"
    __table_args__ = job_indexes("jobs")


class MailedLink(Base, MailedLinkMixin):
    __tablename__ = "mailed_links"
    __table_args__ = mailed_link_rules("mailed_links")

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
