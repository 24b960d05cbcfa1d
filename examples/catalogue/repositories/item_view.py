"""The columns, sort orders and prepared statements of reads: ORM objects would cost far more."""

from typing import Any, Final

from sqlalchemy import ColumnElement, String, bindparam, or_, select

from examples.catalogue.models.item import Item, ItemStatus
from examples.catalogue.models.tag import Tag, item_tags
from examples.catalogue.models.user import User
from mscr.queries.filters import at_least, at_most
from mscr.queries.many_to_many import ManyToMany
from mscr.queries.owned_insert import OwnedInsert
from mscr.queries.paging import SortColumns
from mscr.queries.prepared_pages import PreparedPages
from mscr.queries.prepared_statement import PreparedStatement
from mscr.queries.shown_rows import nested_rows, no_nested_rows

TAGS: Final = ManyToMany(
    Item,
    Tag,
    item_tags,
    any_of="tag",
    all_of="tag_all",
    copied={
        "created_at_gte": at_least(item_tags.c.created_at),
        "created_at_lte": at_most(item_tags.c.created_at),
    },
)
# The columns of the table `items` itself.
OWN_COLUMNS: Final = (
    Item.public_id,
    Item.created_at,
    Item.updated_at,
    Item.title,
    Item.description,
    Item.status,
)
_OWNER: Final = select(User.public_id).where(User.id == Item.owner_id).scalar_subquery()
EXPORTED: Final = select(*OWN_COLUMNS, _OWNER.label("owner_public_id")).where(
    Item.is_deleted.is_(False)
)
SHOWN: Final = EXPORTED.add_columns(
    nested_rows("tags", TAGS.others(Tag.public_id, Tag.name).order_by(Tag.name_key)), Item.version
)
# The sort orders of lists. Each is also named in `sort_field()` of `item_schemas.py`.
SORTABLE: Final[SortColumns] = {
    "created_at": Item.created_at,
    "updated_at": Item.updated_at,
    "title": Item.title,
}
_VIEWER: Final = bindparam("viewer_id", type_=Item.id.type)
_ONE: Final = SHOWN.where(Item.public_id == bindparam("public_id", type_=String))


def visible_to(viewer_id: Any) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the conditions of visibility: published, or owned by the viewer."""
    return Item.status == ItemStatus.ACTIVE, Item.owner_id == viewer_id


CREATE: Final = OwnedInsert(
    Item,
    [Item.title, Item.description, Item.status],
    returning=[*OWN_COLUMNS, Item.version, no_nested_rows("tags")],
)
ANY_ONE: Final = PreparedStatement(_ONE)
VISIBLE_ONE: Final = PreparedStatement(_ONE.where(or_(*visible_to(_VIEWER))))
CHOICES: Final = {"status": Item.status}
VISIBLE: Final = PreparedPages(
    Item, SHOWN, SORTABLE, any_of=visible_to(_VIEWER), choices=CHOICES, searched=True
)
OWNED: Final = PreparedPages(
    Item, SHOWN.where(Item.owner_id == _VIEWER), SORTABLE, choices=CHOICES, searched=True
)
