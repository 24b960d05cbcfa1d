"""docs/running.md: each row names a test that exists, or says that nothing was tried."""

import re
from typing import Final

import pytest

from app.core.config import PROJECT_ROOT, Settings

PAGE: Final = (PROJECT_ROOT / "docs/running.md").read_text(encoding="utf-8")
ROWS: Final = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| where", "| **"))
]
NAMED: Final = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_the_page_names_exists(path: str, name: str) -> None:
    text = (PROJECT_ROOT / path).read_text(encoding="utf-8")
    assert name == "" or re.search(rf"^(?:async )?def {name}\(", text, re.MULTILINE)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_says_what_covers_it(row: list[str]) -> None:
    assert len(row) == 3
    assert re.search(r"`tests/\w|the same|not tried", row[2])


def test_the_page_names_settings_that_there_are() -> None:
    names = set(re.findall(r"`([A-Z][A-Z_]{3,})(?:=[^`]*)?`", PAGE))
    assert names - set(Settings.model_fields) == set()
