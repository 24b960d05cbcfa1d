"""Every requirement in `docs/` is proved by a test, and every one that a test cites exists."""

import re
from collections.abc import Iterator

from mscr.tests.support.paths import REPOSITORY

PAGE = REPOSITORY / "docs/requirements.md"
ROW = re.compile(r"^\| ([A-Z]{2}\d{1,2}) \|", re.MULTILINE)
# A citation begins a docstring: "RT6", "SE1, AZ2".
CITATION = re.compile(r'"""((?:[A-Z]{2}\d{1,2}(?:, )?)+)[.:]')
MENTION = re.compile(r"\b[A-Z]{2}\d{1,2}\b")


def cited() -> Iterator[str]:
    folders = (REPOSITORY / "mscr/tests", REPOSITORY / "examples")
    tests = [path for folder in folders for path in folder.rglob("test_*.py")]
    checks = (REPOSITORY / "mscr/testing/route_checks").glob("*.py")
    for path in (*tests, *checks):
        for ids in CITATION.findall(path.read_text()):
            yield from ids.split(", ")


def test_every_requirement_is_proved_by_a_test() -> None:
    assert set(ROW.findall(PAGE.read_text())) - set(cited()) == set()


def test_every_requirement_that_the_guide_mentions_exists() -> None:
    guide = (REPOSITORY / "docs/auth.md").read_text()
    mentioned = set(MENTION.findall(guide))

    assert len(mentioned) > 20
    assert mentioned - set(ROW.findall(PAGE.read_text())) == set()


def test_every_requirement_that_a_test_cites_exists() -> None:
    assert set(cited()) - set(ROW.findall(PAGE.read_text())) == set()
