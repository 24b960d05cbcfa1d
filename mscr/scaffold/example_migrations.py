"""Take the example's migration out of the history, or add one that drops its table."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from alembic.script import Script, ScriptDirectory
from alembic.util import rev_id

from mscr.db.migrations import alembic_config
from mscr.db.released_migrations import RECORD
from mscr.scaffold.changes import Changes
from mscr.scaffold.drop_migration import drop_migration
from mscr.scaffold.example import Example
from mscr.scaffold.remove_example import CannotRemoveError

VERSIONS: Final = "migrations/versions"


class History(NamedTuple):
    """The change of the migration history, in words, and whether it has a migration more."""

    words: str
    is_longer: bool


def remove_from_history(changes: Changes, example: Example, *, has_table: bool) -> History:
    """Change the migrations. Raises `CannotRemoveError`.

    The migration is deleted if nothing follows it and the database has no table of it. Otherwise
    databases may have run it, so another one drops the table.
    """
    scripts = ScriptDirectory.from_config(alembic_config(changes.root))
    created = _migration(scripts, example.migration)
    heads = scripts.get_heads()
    if len(heads) > 1:
        raise CannotRemoveError(
            f"the migrations have {len(heads)} heads: merge them first (alembic merge heads)"
        )
    if heads == [created.revision] and not has_table:
        _delete(changes, example.migration)
        words = f"deletes {example.migration}, which this database has not run"
        return History(words, is_longer=False)
    name, text = drop_migration(
        example.table,
        revision=rev_id(),
        revises=heads[0],
        created_by=created.revision,
        now=datetime.now(UTC),
    )
    changes.write(f"{VERSIONS}/{name}", text)
    words = f"adds {name}, which deletes the table {example.table} with its rows"
    return History(words, is_longer=True)


def _migration(scripts: ScriptDirectory, name: str) -> Script:
    for script in scripts.walk_revisions():
        if Path(script.path).name == name:
            return script
    raise CannotRemoveError(f"there is no {VERSIONS}/{name}: restore it")


def _delete(changes: Changes, name: str) -> None:
    changes.delete(f"{VERSIONS}/{name}")
    record = changes.read(f"{VERSIONS}/{RECORD}")
    if record is not None:
        lines = [
            line for line in record.splitlines(keepends=True) if not line.endswith(f" {name}\n")
        ]
        changes.write(f"{VERSIONS}/{RECORD}", "".join(lines))
