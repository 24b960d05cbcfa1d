from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from examples.realworld.models.comment import Comment
from mscr.repositories.base import BaseRepository


class CommentRepository(BaseRepository[Comment]):
    model = Comment

    async def of_article(self, article_id: int, *, limit: int) -> Sequence[Comment]:
        """Return the newest comments of an article, with their authors."""
        statement = select(Comment).filter_by(article_id=article_id, is_deleted=False)
        statement = statement.options(joinedload(Comment.owner)).order_by(Comment.id.desc())
        return (await self.session.scalars(statement.limit(limit))).all()
