"""docs/lists.md: its requests succeed, and its recipe gives a list with filters."""

import re
from typing import Annotated, Any, ClassVar

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.config import PROJECT_ROOT
from examples.catalogue.db.session import Database
from examples.catalogue.models import Item, ItemStatus, User
from examples.catalogue.tests.api import Api
from examples.catalogue.tests.conftest import api_type, tested_project
from mscr.queries.cursors import CursorCodec
from mscr.queries.filters import Filters
from mscr.queries.pagination import Page, Pager
from mscr.repositories.base import BaseRepository
from mscr.repositories.owned_repository import OwnedRepository
from mscr.schemas.base import Moment
from mscr.schemas.list_schemas import ListQuery, PageMeta, sort_field
from mscr.testing.databases import on_sqlite
from tests.docs.markdown import code_blocks

# The page shows the lists of the catalogue.
__all__ = ["api_type", "tested_project"]

BLOCKS = code_blocks(PROJECT_ROOT / "docs/lists.md")
REQUESTS = [line.split()[1] for b in BLOCKS if b.language == "text" for line in b.code.splitlines()]
# Names that the recipe's files import, with the catalogue's items in place of its books.
NAMES = {
    "Annotated": Annotated,
    "OwnedRepository": OwnedRepository,
    "Book": Item,
    "BookStatus": ItemStatus,
    "Field": Field,
    "Filters": Filters,
    "ListQuery": ListQuery,
    "Moment": Moment,
    "ClassVar": ClassVar,
    "sort_field": sort_field,
}


def test_every_block_has_an_expected_language() -> None:
    assert [block.language for block in BLOCKS] == ["text", "python", "python"]


@on_sqlite
async def test_the_requests_succeed(api: Api) -> None:
    owner = await api.register()
    assert len(REQUESTS) > 5
    for path in REQUESTS:
        response = await api.client.get(path, headers=owner.headers)
        assert response.status_code == 200, (path, response.text)


@on_sqlite
async def test_the_recipe_gives_a_list_with_filters(api: Api, database: Database) -> None:
    owner, other = await api.register(), await api.register()
    for title, status in (("Ada", "draft"), ("Anna", "active"), ("Bob", "draft")):
        await api.create_item(owner, title=title, status=status)
    await api.create_item(other, title="Another")
    made: dict[str, Any] = {"__name__": "recipe", **NAMES}
    for block in BLOCKS[1:]:
        assert re.match(r"# app/\w+/book_\w+\.py\n", block.code)
        exec(block.code, made)  # noqa: S102  # our own page

    pager = Pager(CursorCodec([b"k" * 32]))
    query = made["BookListQuery"](
        status=["draft"],
        title_prefix="A",
        created_at_gte="2026-01-01T00:00:00Z",
        sort="title",
        was_changed=False,
    )
    request = pager.page_request(query, "books", owner.public_id)
    async with database.sessions() as session:
        owner_id = await _key_of(session, owner.public_id)
        books = made["BookRepository"](session)
        rows = await books.read_own_page(request, ["public_id", "title"], owner_id=owner_id)
        page: Page[Item] = pager.page(rows, request)

    assert [item.title for item in page.items] == ["Ada"]
    assert page.meta == PageMeta(page=1, per_page=20, total=1, total_relation="eq", pages=1)


async def _key_of(session: AsyncSession, public_id: str) -> int:
    user = await BaseRepository(User, session).get_by_public_id(public_id)
    assert user is not None
    return user.id
