"""Articles and their comments: everybody reads them, their authors change them."""

import re
import secrets
from collections.abc import Sequence
from typing import Final

from examples.realworld.models import Article, ArticleTag, Comment
from examples.realworld.repositories.article_repository import ArticleRepository
from examples.realworld.repositories.comment_repository import CommentRepository
from examples.realworld.schemas.article_schemas import ArticleCreate, ArticleUpdate
from mscr.core.exceptions import ForbiddenError, NotFoundError
from mscr.queries.pagination import PageRequest, Slice

MAX_COMMENTS: Final = 500


def slug_of(title: str) -> str:
    """Return a new slug: the words of the title, and a part that no other slug has."""
    words = "-".join(re.findall(r"[a-z0-9]+", title.lower()))
    return f"{words}-{secrets.token_hex(4)}".removeprefix("-")


class ArticleService:
    def __init__(self, articles: ArticleRepository, comments: CommentRepository) -> None:
        self._articles = articles
        self._comments = comments

    async def list(self, page: PageRequest) -> Slice[Article]:
        return await self._articles.list_page(page)

    async def get(self, slug: str) -> Article:
        article = await self._articles.find(slug)
        if article is None:
            raise NotFoundError
        return article

    async def create(self, data: ArticleCreate, owner_id: int) -> Article:
        values = data.model_dump(exclude={"tag_list"})
        slug = slug_of(data.title)
        tags = [ArticleTag(name=name) for name in sorted(set(data.tag_list))]
        await self._articles.create(slug=slug, owner_id=owner_id, tags=tags, **values)
        return await self._finish(slug)

    async def update(self, slug: str, data: ArticleUpdate, user_id: int) -> Article:
        """Change an article. Another title gives it another slug."""
        article = await self._lock(slug, user_id)
        values = data.model_dump(exclude_unset=True)
        if values.get("title", article.title) != article.title:
            values["slug"] = slug_of(values["title"])
        await self._articles.update(article, **values)
        return await self._finish(article.slug)

    async def delete(self, slug: str, user_id: int) -> None:
        await self._articles.soft_delete(await self._lock(slug, user_id))
        await self._articles.commit()

    async def comments(self, slug: str) -> Sequence[Comment]:
        """Return the newest comments of an article, at most `MAX_COMMENTS`."""
        article = await self.get(slug)
        return await self._comments.of_article(article.id, limit=MAX_COMMENTS)

    async def comment(self, slug: str, body: str, owner_id: int) -> Comment:
        article = await self.get(slug)
        await self._comments.create(article_id=article.id, owner_id=owner_id, body=body)
        [comment] = await self._comments.of_article(article.id, limit=1)
        await self._comments.commit()
        return comment

    async def delete_comment(self, slug: str, comment_id: int, user_id: int) -> None:
        article = await self.get(slug)
        comment = await self._comments.lock(id=comment_id, article_id=article.id)
        if comment is None:
            raise NotFoundError
        if comment.owner_id != user_id:
            raise ForbiddenError
        await self._comments.soft_delete(comment)
        await self._comments.commit()

    async def _lock(self, slug: str, user_id: int) -> Article:
        """Raises `NotFoundError`, and `ForbiddenError` for the article of another user."""
        article = await self._articles.lock(slug=slug)
        if article is None:
            raise NotFoundError
        if article.owner_id != user_id:
            raise ForbiddenError
        return article

    async def _finish(self, slug: str) -> Article:
        shown = await self.get(slug)
        await self._articles.commit()
        return shown
