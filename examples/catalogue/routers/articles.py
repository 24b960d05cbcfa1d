from typing import Annotated

from examples.catalogue.schemas.article_schemas import (
    ArticleCreate,
    ArticleResponse,
    ArticleUpdate,
)
from examples.catalogue.services.article_service import ArticleService
from mscr.endpoints.owned_resource import PublicListPage, service_for_anyone, service_for_caller
from mscr.endpoints.permissions import shared
from mscr.endpoints.requests import PublicId
from mscr.endpoints.resource_responder import resource_response
from mscr.http.responses import PageResponse, SuccessResponse, page_response
from mscr.http.routing import Router

router = Router(prefix="/articles", tags=["Articles"])
Articles = Annotated[ArticleService, service_for_caller(ArticleService)]
PublicArticles = Annotated[ArticleService, service_for_anyone(ArticleService)]


@router.get("")
async def list_articles(
    page: PublicListPage, articles: PublicArticles
) -> PageResponse[ArticleResponse]:
    """List all articles."""
    return page_response(await articles.list(page), ArticleResponse, page)


@router.post("", status_code=201)
async def create_article(
    data: ArticleCreate, articles: Articles
) -> SuccessResponse[ArticleResponse]:
    """Publish an article."""
    return resource_response(await articles.create(data), ArticleResponse)


@router.get("/{public_id}")
@shared()
async def get_article(
    public_id: PublicId, articles: PublicArticles
) -> SuccessResponse[ArticleResponse]:
    """Get an article."""
    return resource_response(await articles.get(public_id), ArticleResponse)


@router.patch("/{public_id}")
async def update_article(
    public_id: PublicId, data: ArticleUpdate, articles: Articles
) -> SuccessResponse[ArticleResponse]:
    """Change an article (owner)."""
    return resource_response(await articles.update(public_id, data), ArticleResponse)


@router.delete("/{public_id}", status_code=204)
async def delete_article(public_id: PublicId, articles: Articles) -> None:
    """Delete an article (owner)."""
    await articles.delete(public_id)
