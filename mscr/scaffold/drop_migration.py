"""The migration that drops the table of a removed example."""

from datetime import datetime
from string import Template
from typing import Final

# The functions of a full-text search stay if another table's search depends on them.
_TEXT: Final = Template('''\
"""Drop $table

The example was removed. This deletes its table with all rows, and its full-text search.

Revision ID: $revision
Revises: $revises
Created: $created
"""

from collections.abc import Sequence

from alembic import context, op

revision: str = "$revision"
down_revision: str | Sequence[str] | None = "$revises"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

lock_exemptions = {"ban-drop-table": "only the example, which was removed, has used it"}


def upgrade() -> None:
    op.drop_table("$table")
    if op.get_context().dialect.name == "sqlite":
        op.drop_table("${table}_search")
        return
    for function in ("weighed_words(text, text)", "search_words(text)"):
        # Keep a function that the search of another table uses.
        op.execute(
            f"DO $$$$ BEGIN DROP FUNCTION {function}; "
            "EXCEPTION WHEN dependent_objects_still_exist THEN NULL; END $$$$"
        )


def downgrade() -> None:
    """Create the table again, without its rows."""
    context.script.get_revision("$created_by").module.upgrade()
''')


def drop_migration(
    table: str, *, revision: str, revises: str, created_by: str, now: datetime
) -> tuple[str, str]:
    """Return the name and the text of a migration that drops `table`.

    `created_by` is the revision that created the table.
    """
    name = f"{now:%Y%m%d_%H%M}_drop_{table}.py"
    return name, _TEXT.substitute(
        table=table, revision=revision, revises=revises, created_by=created_by, created=now
    )
