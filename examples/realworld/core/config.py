"""The settings: those of the kit, with other defaults."""

import os
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Final

from pydantic import Field

from mscr.core.config import Settings as KitSettings
from mscr.core.config import read_settings

# The folder of alembic.ini, of an SQLite database, and of .env, if there is one.
ROOT: Final = Path(__file__).resolve().parents[1]


class Settings(KitSettings):
    root: ClassVar[Path] = ROOT

    APP_NAME: str = Field(
        default="Conduit",
        max_length=80,
        description="Name of the application, shown in the API docs.",
    )
    # The contract has no refresh tokens.
    JWT_ACCESS_TOKEN_EXPIRE_MINUTES: int = Field(
        default=1440, ge=1, le=1440, description="Lifetime of an access token."
    )


@lru_cache
def get_settings() -> Settings:
    """Return the process's settings. Exit with one line per fault if they are invalid."""
    return read_settings(Settings, os.environ.get("ENV_FILE", str(ROOT / ".env")))
