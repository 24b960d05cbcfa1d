"""What reads show of items: columns rather than objects, which take several times as long."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from pydantic_core import from_json
from sqlalchemy import ColumnElement, String, bindparam, or_, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from app.models.item import Item, ItemStatus
from app.models.tag import Tag, item_tags
from app.models.user import User
from app.repositories.paging import SortColumns
from app.repositories.prepared_pages import PreparedPages
from app.repositories.prepared_statement import PreparedStatement


class json_arrays(FunctionElement[str]):  # noqa: N801  # it is a function of SQL
    """Of several rows: a text, a JSON array with an array of each row's columns."""

    type = String()
    inherit_cache = True


@compiles(json_arrays, "postgresql")
def _of_postgresql(element: json_arrays, compiler: SQLCompiler, **options: Any) -> str:
    columns = compiler.process(element.clauses, **options)
    return f"CAST(coalesce(json_agg(json_build_array({columns})), '[]') AS text)"


@compiles(json_arrays, "sqlite")
def _of_sqlite(element: json_arrays, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_group_array(json_array({compiler.process(element.clauses, **options)}))"


_OWNER: Final = (
    select(User.public_id)
    .where(User.id == Item.owner_id)
    .scalar_subquery()
    .label("owner_public_id")
)
_TAGS_IN_ORDER: Final = (
    select(Tag.public_id, Tag.name)
    .join(item_tags, item_tags.c.tag_id == Tag.id)
    .where(item_tags.c.item_id == Item.id, Tag.is_deleted.is_(False))
    .order_by(Tag.name_key)
    .correlate(Item)
    .subquery("named")
)
_TAGS: Final = (
    select(json_arrays(_TAGS_IN_ORDER.c.public_id, _TAGS_IN_ORDER.c.name))
    .scalar_subquery()
    .label("tags")
)
# Of the item's own row.
OWN_COLUMNS: Final = (
    Item.public_id,
    Item.created_at,
    Item.updated_at,
    Item.title,
    Item.description,
    Item.status,
)
EXPORTED: Final = select(*OWN_COLUMNS, _OWNER).where(Item.is_deleted.is_(False))
SHOWN: Final = EXPORTED.add_columns(_TAGS, Item.version)

SORTABLE: Final[SortColumns] = {
    "created_at": Item.created_at,
    "updated_at": Item.updated_at,
    "title": Item.title,
}


@dataclass(frozen=True, slots=True)
class ShownTag:
    public_id: str
    name: str


@dataclass(frozen=True, slots=True)
class ShownItem:
    public_id: str
    created_at: datetime
    updated_at: datetime
    title: str
    description: str | None
    status: str
    owner_public_id: str
    tags: Sequence[ShownTag]
    version: int

    @classmethod
    def of(cls, *columns: Any) -> Self:
        """From the columns of `SHOWN`."""
        *own, owner_public_id, tags, version = columns
        return cls.new(own, owner_public_id, [ShownTag(*tag) for tag in from_json(tags)], version)

    @classmethod
    def new(
        cls, own: Iterable[Any], owner_public_id: str, tags: Sequence[ShownTag], version: int
    ) -> Self:
        """From values of `OWN_COLUMNS`, and what is beside them."""
        values: list[Any] = [*own, owner_public_id, tags, version]
        return cls(*values)


_PUBLIC_ID: Final = bindparam("public_id", type_=String)
_VIEWER: Final = bindparam("viewer_id", type_=Item.id.type)
_ONE: Final = SHOWN.where(Item.public_id == _PUBLIC_ID)


def visible_to(viewer_id: Any) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """What is published, or the viewer's own."""
    return Item.status == ItemStatus.ACTIVE, Item.owner_id == viewer_id


ANY_ONE: Final = PreparedStatement(_ONE)
VISIBLE_ONE: Final = PreparedStatement(_ONE.where(or_(*visible_to(_VIEWER))))
CHOICES: Final = {"status": Item.status}
VISIBLE: Final = PreparedPages(
    Item, SHOWN, SORTABLE, ShownItem.of, any_of=visible_to(_VIEWER), choices=CHOICES
)
OWNED: Final = PreparedPages(
    Item, SHOWN.where(Item.owner_id == _VIEWER), SORTABLE, ShownItem.of, choices=CHOICES
)
