"""The application's settings.

The kit's settings are listed in `.env.example` and set in `.env` or the environment. To commit
another default for one of them, copy its field from `mscr/core/settings_fields.py` to `Settings`,
and run `python cli.py env-example --write`.
"""

import os
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from mscr.core.config import Settings as KitSettings
from mscr.core.config import read_settings

PROJECT_ROOT = Path(__file__).resolve().parents[2]


class Settings(KitSettings):
    """Add your own settings here, each with a bound and a `description`."""

    root: ClassVar[Path] = PROJECT_ROOT
    mail_templates: ClassVar[Path | None] = PROJECT_ROOT / "app" / "mail"

    APP_NAME: str = Field(
        default="FastAPI Backend",
        max_length=80,
        description="Name of the application, shown in the API docs and in mails.",
    )


@lru_cache
def get_settings() -> Settings:
    """Return the process's settings. Exit with one line per fault if they are invalid."""
    return read_settings(Settings, os.environ.get("ENV_FILE", str(PROJECT_ROOT / ".env")))
