"""Alembic's environment: Alembic runs this file for each of its commands."""

from examples.realworld.core.config import get_settings
from examples.realworld.models import Base
from mscr.db.migration_environment import MigrationEnvironment
from mscr.models.migrated_types import render_item

MigrationEnvironment(Base.metadata, get_settings, render_item=render_item).run()
