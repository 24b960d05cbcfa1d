from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, true

from examples.catalogue.models.article import Article
from mscr.repositories.owned_repository import OwnedRepository


class ArticleRepository(OwnedRepository[Article]):
    model = Article

    def visible_to(self, viewer_id: Any) -> Sequence[ColumnElement[bool]]:  # noqa: ARG002  # for all
        return (true(),)
