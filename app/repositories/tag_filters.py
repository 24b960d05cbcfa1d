"""Items by their tags: as conditions, and in the order of the index that each tag has of its items.

A filter for one tag is a range of that index, at whichever place in it a page begins. Items that
have one of several tags are collected first, which takes as long as there are of them.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.pagination import PageRequest
from app.models.item import Item
from app.models.tag import Tag, item_tags
from app.repositories.filters import Filters, at_least, at_most
from app.repositories.paging import SortColumns

# Columns of the links, which the index has, for those of items, which have the same values.
LINK_COLUMNS: Final[SortColumns] = {
    "created_at": item_tags.c.created_at,
    "public_id": item_tags.c.public_id,
}
_LINK_FILTERS: Final[Filters] = {
    "created_at_gte": at_least(item_tags.c.created_at),
    "created_at_lte": at_most(item_tags.c.created_at),
}
_NO_KEY: Final = 0


async def with_tag_keys(request: PageRequest, session: AsyncSession) -> PageRequest:
    """The request with tags' keys for their public ids; of those that there are not, one of none.

    Not by a subquery: whether to read a tag's items in their order depends on how many there are,
    which PostgreSQL can only guess of a tag that it has yet to look up.
    """
    given = {name: request.filters[name] for name in ("tag", "tag_all") if request.filters[name]}
    wanted = {str(public_id) for public_ids in given.values() for public_id in public_ids}
    if not wanted:
        return request
    living = select(Tag.public_id, Tag.id).where(Tag.public_id.in_(wanted), ~Tag.is_deleted)
    keys = {row.public_id: row.id for row in await session.execute(living)}
    found = {name: [keys.get(str(each), _NO_KEY) for each in ids] for name, ids in given.items()}
    return replace(request, filters={**request.filters, **found})


def has_any_tag(keys: Sequence[int]) -> ColumnElement[bool]:
    return Item.id.in_(select(item_tags.c.item_id).where(item_tags.c.tag_id.in_(keys)))


def has_all_tags(keys: Sequence[int]) -> ColumnElement[bool]:
    return and_(*(has_any_tag([key]) for key in keys))


def is_by_tag(request: PageRequest) -> bool:
    return bool(request.filters["tag"] or request.filters["tag_all"])


def reads_links(request: PageRequest) -> bool:
    """Whether there is one tag that all of the items have: by its links they can be read."""
    return len(request.filters["tag"] or ()) == 1 or bool(request.filters["tag_all"])


def link_filters(request: PageRequest) -> Filters:
    """Filters for items that are joined with the links of that tag."""
    tag = "tag" if len(request.filters["tag"] or ()) == 1 else "tag_all"
    return {**_LINK_FILTERS, tag: _is_linked}


def _is_linked(keys: Sequence[int]) -> ColumnElement[bool]:
    first, *others = keys
    return and_(item_tags.c.tag_id == first, *(has_any_tag([key]) for key in others))
