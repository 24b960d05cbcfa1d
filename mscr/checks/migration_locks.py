"""Find migrations that would block the application by locking a large table.

squawk checks the SQL for PostgreSQL of each migration, one by one: locks on tables that the
migration itself creates block nobody. A migration that must break a rule names the rule and the
reason: `lock_exemptions = {"ban-drop-column": "no release reads it since 1.4"}`.
"""

import io
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory

SQUAWK: Final = str(Path(sys.executable).with_name("squawk"))
# The oldest maintained version, which has the fewest operations without a lock.
POSTGRESQL_VERSION: Final = "14"
NO_SERVER: Final = "postgresql+asyncpg://"

NOT_APPLICABLE: Final = {
    "prefer-bigint-over-int": "tables that outgrow 32 bits have BigIntegerKey",
    "prefer-bigint-over-smallint": "likewise",
    "prefer-identity": "SQLAlchemy's integer keys are the same on both databases",
    "prefer-text-field": "bounds of texts match the API's, and raising them is free",
    "prefer-robust-stmts": "a migration is one transaction: it is never half applied",
    "require-lock-timeout": "`migration_environment` sets it for every transaction",
    "require-statement-timeout": "a migration may run for long, but does not wait for locks",
}
# Named by the naming convention. Without its check, a table accepts all rows that it did before; a
# release may rely on a unique constraint or a foreign key.
DROPPED_CHECK: Final = re.compile(r'DROP CONSTRAINT (?:IF EXISTS )?"?ck_', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Finding:
    file: str
    rule: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}: {self.rule}: {self.message}\n    {self.remedy}"


def find_locks(config: Config) -> list[Finding]:
    """Return the findings of all migrations, oldest first."""
    scripts = ScriptDirectory.from_config(config)
    migrations = reversed(list(scripts.walk_revisions()))
    return [found for migration in migrations for found in _check(config, migration)]


def _check(config: Config, migration: Script) -> list[Finding]:
    exemptions = getattr(migration.module, "lock_exemptions", {})
    sql = _sql_of(config, migration)
    done = subprocess.run(  # noqa: S603  # our own linter
        [SQUAWK, "--reporter=json", f"--pg-version={POSTGRESQL_VERSION}"]
        + [f"--exclude={rule}" for rule in {**NOT_APPLICABLE, **exemptions}],
        input=sql,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        found = json.loads(done.stdout)
    except ValueError:
        raise RuntimeError(f"squawk failed: {done.stderr}") from None
    return [
        Finding(Path(migration.path).name, one["rule_name"], one["message"], one["help"] or "")
        for one in found
        if not DROPPED_CHECK.match(_text_at(one, sql))
    ]


def _text_at(found: dict[str, Any], sql: str) -> str:
    line: str = sql.splitlines()[found["line"]]
    return line[found["column"] :]


def _sql_of(config: Config, migration: Script) -> str:
    printed = io.StringIO()
    config.output_buffer = printed
    # From each of its parents: a merge of two branches has more than one.
    for parent in migration._versioned_down_revisions or ("base",):  # noqa: SLF001  # no public API
        command.upgrade(config, f"{parent}:{migration.revision}", sql=True)
    return printed.getvalue()


def main(root: Path) -> None:
    """Print the findings in the migrations of a project. Fail if there are any."""
    config = Config(root / "alembic.ini", stdout=io.StringIO())
    config.set_main_option("sqlalchemy.url", NO_SERVER)
    findings = find_locks(config)
    for finding in findings:
        print(finding, file=sys.stderr)  # noqa: T201  # a command
    if findings:
        sys.exit("migrations that lock tables: for alternatives, see docs/database.md#migrations")
    print("no migration locks a table for long")  # noqa: T201  # as above
