"""docs/lists.md: its requests are sent, and its list of one's own is made and asked."""

import re
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.config import PROJECT_ROOT
from app.core.pagination import (
    CursorCodec,
    ListQuery,
    Page,
    PageMeta,
    Pager,
    PageRequest,
    Slice,
    sort_field,
)
from app.db.session import Database
from app.models import Item, ItemStatus, User
from app.repositories.base import BaseRepository, SortColumns
from app.repositories.filters import Filters, at_least, one_of, starts_with
from app.schemas.base import Moment
from tests.support.api import Api
from tests.support.databases import on_sqlite
from tests.support.markdown import code_blocks

BLOCKS = code_blocks(PROJECT_ROOT / "docs/lists.md")
REQUESTS = [line.split()[1] for b in BLOCKS if b.language == "text" for line in b.code.splitlines()]
# What the recipe's files would import. A book of theirs is an item of ours.
NAMES = {
    "Annotated": Annotated,
    "BaseRepository": BaseRepository,
    "Book": Item,
    "BookStatus": ItemStatus,
    "Field": Field,
    "Filters": Filters,
    "ListQuery": ListQuery,
    "Moment": Moment,
    "PageRequest": PageRequest,
    "Slice": Slice,
    "SortColumns": SortColumns,
    "at_least": at_least,
    "one_of": one_of,
    "sort_field": sort_field,
    "starts_with": starts_with,
}


def test_every_block_is_known() -> None:
    assert [block.language for block in BLOCKS] == ["text", "python", "python"]


@on_sqlite
async def test_the_requests_are_answered(api: Api) -> None:
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
        status=["draft"], title_prefix="A", created_at_gte="2026-01-01T00:00:00Z", sort="title"
    )
    request = pager.open(query, "books", owner.public_id)
    async with database.sessions() as session:
        owner_id = await _key_of(session, owner.public_id)
        page: Page[Item] = pager.close(
            await made["BookRepository"](Item, session).list_owned(request, owner_id), request
        )

    assert [item.title for item in page.items] == ["Ada"]
    assert page.meta == PageMeta(page=1, per_page=20, total=1, pages=1)


async def _key_of(session: AsyncSession, public_id: str) -> int:
    user = await BaseRepository(User, session).get_by_public_id(public_id)
    assert user is not None
    return user.id
