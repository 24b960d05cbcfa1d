"""Run Alembic from Python: its configuration, and the upgrade to the newest migration."""

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config


def alembic_config(root: Path, url: str | None = None) -> Config:
    """Return Alembic's configuration, for the database of the settings or of `url`."""
    config = Config(root / "alembic.ini")
    if url is not None:
        config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def upgrade(config: Config) -> list[str]:
    """Migrate the database to the newest revision. Return the applied migrations, oldest first.

    Any number of processes may call this at once: one migrates, the others wait and find nothing to
    do.
    """
    steps = _AppliedMigrations()
    log = logging.getLogger("alembic.runtime.migration")
    level = log.level
    log.addHandler(steps)
    log.setLevel(logging.INFO)
    try:
        command.upgrade(config, "head")
    finally:
        log.removeHandler(steps)
        log.setLevel(level)
    return steps.names


class _AppliedMigrations(logging.Handler):
    """Collects the names of the migrations that this process runs, and prints their warnings."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING and logging.lastResort is not None:
            logging.lastResort.handle(record)
        verb, _, names = record.getMessage().partition(" -> ")
        if verb.startswith("Running upgrade"):
            self.names.append(names)
