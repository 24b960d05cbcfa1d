from typing import Annotated, Final

from fastapi import Depends, Path

from examples.realworld.repositories.article_repository import ArticleRepository
from examples.realworld.repositories.comment_repository import CommentRepository
from examples.realworld.schemas.article_schemas import (
    ArticleEnvelope,
    ArticleQuery,
    ArticleResponse,
    ArticlesEnvelope,
    CommentEnvelope,
    CommentResponse,
    CommentsEnvelope,
    CreateArticleRequest,
    CreateCommentRequest,
    UpdateArticleRequest,
)
from examples.realworld.services.article_service import ArticleService
from mscr.core.exceptions import ForbiddenError
from mscr.endpoints.callers import CurrentPrincipal
from mscr.endpoints.database import DbSession, PublicReadDbSession
from mscr.endpoints.permissions import shared, visible
from mscr.http.openapi import problem_responses
from mscr.http.request_parameters import query_model
from mscr.http.routing import Router
from mscr.queries.pagination import PageRequest

router = Router(prefix="/articles", tags=["Articles"])


async def get_articles(db: DbSession) -> ArticleService:
    return ArticleService(ArticleRepository(db), CommentRepository(db))


async def get_public_articles(db: PublicReadDbSession) -> ArticleService:
    return ArticleService(ArticleRepository(db), CommentRepository(db))


Articles = Annotated[ArticleService, Depends(get_articles)]
PublicArticles = Annotated[ArticleService, Depends(get_public_articles)]
Query = Annotated[ArticleQuery, query_model(ArticleQuery)]
Slug = Annotated[str, Path(max_length=120, examples=["how-to-train-a-dragon-1f0c"])]
NOT_ANOTHERS: Final = problem_responses(ForbiddenError)
CommentId = Annotated[int, Path(ge=1, lt=2**31, examples=[1])]


@router.get("")
async def list_articles(query: Query, articles: PublicArticles) -> ArticlesEnvelope:
    """List articles, the newest first."""
    page = await articles.list(PageRequest.of_rows(query))
    shown = [ArticleResponse.of(article) for article in page.items]
    return ArticlesEnvelope(articles=shown, articles_count=page.total or 0)


@router.post("", status_code=201)
async def create_article(
    data: CreateArticleRequest, caller: CurrentPrincipal, articles: Articles
) -> ArticleEnvelope:
    """Publish an article."""
    created = await articles.create(data.article, caller.user_id)
    return ArticleEnvelope(article=ArticleResponse.of(created))


@router.get("/{slug}")
@shared()
async def get_article(slug: Slug, articles: PublicArticles) -> ArticleEnvelope:
    """Get an article."""
    return ArticleEnvelope(article=ArticleResponse.of(await articles.get(slug)))


@router.put("/{slug}", responses=NOT_ANOTHERS)
@visible
async def update_article(
    slug: Slug, data: UpdateArticleRequest, caller: CurrentPrincipal, articles: Articles
) -> ArticleEnvelope:
    """Change an article (author)."""
    updated = await articles.update(slug, data.article, caller.user_id)
    return ArticleEnvelope(article=ArticleResponse.of(updated))


@router.delete("/{slug}", status_code=204, responses=NOT_ANOTHERS)
@visible
async def delete_article(slug: Slug, caller: CurrentPrincipal, articles: Articles) -> None:
    """Delete an article (author)."""
    await articles.delete(slug, caller.user_id)


@router.get("/{slug}/comments")
@shared()
async def list_comments(slug: Slug, articles: PublicArticles) -> CommentsEnvelope:
    """List the newest comments of an article."""
    found = await articles.comments(slug)
    return CommentsEnvelope(comments=[CommentResponse.of(comment) for comment in found])


@router.post("/{slug}/comments", status_code=201)
@shared()
async def create_comment(
    slug: Slug, data: CreateCommentRequest, caller: CurrentPrincipal, articles: Articles
) -> CommentEnvelope:
    """Comment on an article."""
    created = await articles.comment(slug, data.comment.body, caller.user_id)
    return CommentEnvelope(comment=CommentResponse.of(created))


@router.delete("/{slug}/comments/{id}", status_code=204, responses=NOT_ANOTHERS)
@visible
async def delete_comment(
    slug: Slug,
    id: CommentId,  # noqa: A002  # the contract's name
    caller: CurrentPrincipal,
    articles: Articles,
) -> None:
    """Delete a comment (author)."""
    await articles.delete_comment(slug, id, caller.user_id)
