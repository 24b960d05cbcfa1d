"""Fixtures: a small project."""

from pathlib import Path

import pytest

from mscr.tests.scaffold.project import Shop


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.delenv("ENV_FILE")
    monkeypatch.delenv("DATABASE_URL")
    return Shop(tmp_path)
