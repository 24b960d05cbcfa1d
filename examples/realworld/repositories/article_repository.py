from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload, selectinload

from examples.realworld.models.article import Article, ArticleTag
from examples.realworld.models.user import User
from mscr.queries.pagination import PageRequest, Slice
from mscr.repositories.base import BaseRepository


class ArticleRepository(BaseRepository[Article]):
    """Articles with their authors and tags."""

    model = Article

    async def find(self, slug: str) -> Article | None:
        return (await self.session.scalars(self._shown().filter_by(slug=slug))).one_or_none()

    async def list_page(self, request: PageRequest) -> Slice[Article]:
        """Return a page of the articles, those of a tag, or those of an author."""
        filters = {
            "tag": lambda name: Article.id.in_(
                select(ArticleTag.article_id).filter_by(name=name, is_deleted=False)
            ),
            "author": lambda username: Article.owner_id.in_(
                select(User.id).filter_by(username=username, is_deleted=False)
            ),
        }
        columns = {"created_at": Article.created_at}
        return await self._paginate(self._shown(), request, columns, filters)

    def _shown(self) -> Select[Article]:
        return self._select().options(joinedload(Article.owner), selectinload(Article.tags))
