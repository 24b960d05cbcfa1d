"""The command line of a project with an encrypted column whose rows have no public id."""

from sqlalchemy import Column, Integer, Table

from examples.catalogue.cli import app
from examples.catalogue.models.base import Base
from mscr.models.base import EncryptedText

if __name__ == "__main__":
    id_only = Column("id", Integer, primary_key=True)
    Table("vaults", Base.metadata, id_only, Column("secret", EncryptedText))
    app()
