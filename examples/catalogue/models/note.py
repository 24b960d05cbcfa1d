from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from examples.catalogue.models.base import Base, OwnedMixin


class Note(Base, OwnedMixin):
    __tablename__ = "notes"

    text: Mapped[str] = mapped_column(String(2000))
