"""The requirements in `docs/`: each is proved by a test, and each that a test names is there."""

import re
from collections.abc import Iterator

from app.core.config import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs/requirements.md"
ROW = re.compile(r"^\| ([A-Z]{2}\d{1,2}) \|", re.MULTILINE)
# At the beginning of a docstring: "RT6", "SE1, AZ2".
CITATION = re.compile(r'"""((?:[A-Z]{2}\d{1,2}(?:, )?)+)[.:]')
MENTION = re.compile(r"\b[A-Z]{2}\d{1,2}\b")


def cited() -> Iterator[str]:
    for path in (PROJECT_ROOT / "tests").rglob("test_*.py"):
        for ids in CITATION.findall(path.read_text()):
            yield from ids.split(", ")


def test_every_requirement_is_proved_by_a_test() -> None:
    assert set(ROW.findall(PAGE.read_text())) - set(cited()) == set()


def test_every_requirement_that_the_guide_mentions_is_told() -> None:
    guide = (PROJECT_ROOT / "docs/auth.md").read_text()
    mentioned = set(MENTION.findall(guide))

    assert len(mentioned) > 20
    assert mentioned - set(ROW.findall(PAGE.read_text())) == set()


def test_every_requirement_that_a_test_names_is_told() -> None:
    assert set(cited()) - set(ROW.findall(PAGE.read_text())) == set()
