"""All models: importing this package fills `Base.metadata`."""

from examples.realworld.models.article import Article, ArticleTag
from examples.realworld.models.base import Base
from examples.realworld.models.comment import Comment
from examples.realworld.models.kit_tables import (
    AuditEvent,
    IdempotencyKey,
    Job,
    MailedLink,
    RefreshToken,
)
from examples.realworld.models.user import User

__all__ = [
    "Article",
    "ArticleTag",
    "AuditEvent",
    "Base",
    "Comment",
    "IdempotencyKey",
    "Job",
    "MailedLink",
    "RefreshToken",
    "User",
]
