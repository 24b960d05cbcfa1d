"""The base class of all models, and the mixins for models."""

from typing import Any, ClassVar

from sqlalchemy import ForeignKey, MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from mscr.models.base import (
    NAMING_CONVENTION,
    TYPE_ANNOTATION_MAP,
    BigIntegerKey,
    EncryptedText,
    ExactNumeric,
    ModelBase,
    PublicIdMixin,
    SoftDeleteMixin,
    TimestampMixin,
    UTCDateTime,
    VersionMixin,
    encryption_context,
    new_public_id,
    utcnow,
)
from mscr.models.base import OwnedMixin as KitOwnedMixin
from mscr.models.personal_data import NOT_PERSONAL, PERSONAL, erased_as


class Base(ModelBase, DeclarativeBase):
    """Add columns and methods that all your models share here."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map: ClassVar[dict[Any, Any]] = TYPE_ANNOTATION_MAP


class OwnedMixin(KitOwnedMixin):
    """A row that belongs to a user, with its public id, times and version."""

    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
