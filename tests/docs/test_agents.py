"""AGENTS.md: its recipe, followed to the letter in a copy of the project."""

import re
from pathlib import Path

import pytest

from app.core.config import PROJECT_ROOT
from tests.support.markdown import code_blocks
from tests.support.postgres import PostgresServer
from tests.support.project_copy import ProjectCopy

PAGE = PROJECT_ROOT / "AGENTS.md"
BLOCKS = code_blocks(PAGE)
TARGET = re.compile(r"# (?P<path>[\w/.]+)(?: \((?P<change>.+)\))?\n")
# The tests that know of every route, and so of a step that the recipe leaves out.
ROUTE_TESTS = [
    f"tests/api/test_{name}.py" for name in ("permissions", "openapi", "errors", "statement_counts")
]


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    """A copy in which somebody has done what the page says, commands included."""
    copy = ProjectCopy(tmp_path_factory.mktemp("agents") / "project")
    # Most of the time would go into checking the types of tests that the recipe does not touch.
    kept = {copy.path / test for test in ROUTE_TESTS}
    for path in set(copy.path.glob("tests/**/test_*.py")) - kept:
        path.unlink()
    copy.run("python cli.py generate-keys > .env")
    for block in BLOCKS:
        if block.language == "python":
            _type(block.code, copy.path)
        elif block.language == "bash":
            copy.run(block.code)
    return copy


def _type(code: str, project: Path) -> None:
    """What a reader does with a block: a new file, or lines of an existing one."""
    target = TARGET.match(code)
    assert target, f"a block does not say where it belongs:\n{code}"
    path, lines = project / target["path"], code[target.end() :]
    if target["change"] is None:
        assert not path.exists(), f"{path} is there already"
        path.write_text(lines)
    elif target["change"].startswith("add to "):
        path.write_text(_with_rows(path.read_text(), target["change"].split()[-1], lines))
    elif target["change"] == "add":
        exported = lines.split()[-1]
        text = path.read_text().replace("\nfrom", f"\n{lines}from", 1)
        path.write_text(text.replace("__all__ = [", f'__all__ = [\n    "{exported}",', 1))
    else:
        path.write_text(_changed(path.read_text(), lines))


def _with_rows(text: str, table: str, rows: str) -> str:
    opening = rf"^ *{table}\b.* = \{{\n"
    text, found = re.subn(opening, lambda line: line[0] + rows, text, flags=re.MULTILINE)
    assert found == 1, f"no table to add to: {table}"
    return text


def _changed(text: str, lines: str) -> str:
    # The line that begins alike is the one that is meant.
    for line in lines.splitlines():
        beginning = re.escape(line.split(" import ")[0].split(" in (")[0])
        text, replaced = re.subn(rf"^{beginning} (import|in) .*$", line, text, flags=re.MULTILINE)
        assert replaced == 1, f"no line to change for: {line}"
    return text


def test_every_block_is_known() -> None:
    assert {block.language for block in BLOCKS} == {"python", "bash", "text"}


def test_the_recipe_gives_a_feature_that_migrates_and_passes_every_check(
    followed: ProjectCopy,
) -> None:
    migrations = [path.read_text() for path in followed.path.glob("migrations/versions/*notes.py")]
    assert len(migrations) == 1
    assert '"notes"' in migrations[0]


def test_the_recipes_own_test_passes_on_both_databases(
    followed: ProjectCopy, postgres: PostgresServer
) -> None:
    # The server of these tests, rather than one more.
    server = postgres.external_url or postgres.url("postgres")
    output = followed.run("pytest tests/api/test_notes.py", TEST_POSTGRES_URL=server)

    assert "2 passed" in output


def test_the_recipe_declares_its_routes_wherever_that_is_needed(followed: ProjectCopy) -> None:
    # One database is enough for these, and SQLite is the faster one.
    output = followed.run(f"pytest -q -k 'not postgresql' {' '.join(ROUTE_TESTS)}")

    assert " passed" in output


def test_the_other_assistants_page_points_here() -> None:
    assert "AGENTS.md" in (PROJECT_ROOT / "CLAUDE.md").read_text()
