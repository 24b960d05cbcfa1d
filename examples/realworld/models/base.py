from typing import Any, ClassVar

from sqlalchemy import ForeignKey, MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from mscr.models.base import NAMING_CONVENTION, TYPE_ANNOTATION_MAP, ModelBase
from mscr.models.base import OwnedMixin as KitOwnedMixin


class Base(ModelBase, DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map: ClassVar[dict[Any, Any]] = TYPE_ANNOTATION_MAP


class OwnedMixin(KitOwnedMixin):
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
