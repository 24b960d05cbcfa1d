from examples.catalogue.models.article import Article
from examples.catalogue.repositories.article_repository import ArticleRepository
from examples.catalogue.schemas.article_schemas import ArticleResponse
from mscr.services.owned_service import OwnedService


class ArticleService(OwnedService[Article]):
    """Articles, which everyone reads without login and their owners change."""

    repository = ArticleRepository
    response = ArticleResponse
