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
TARGET = re.compile(r"# (?P<path>[\w/.]+)(?P<change> \(.+\))?\n")


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    """A copy in which somebody has done what the page says, commands included."""
    copy = ProjectCopy(tmp_path_factory.mktemp("agents") / "project")
    # Most of the time would go into checking the types of tests that the recipe does not touch.
    for path in copy.path.glob("tests/**/test_*.py"):
        path.unlink()
    for block in BLOCKS:
        if block.language == "python":
            _type(block.code, copy.path)
    copy.run("python cli.py generate-keys > .env")
    copy.run(next(block.code for block in BLOCKS if block.language == "bash"))
    return copy


def _type(code: str, project: Path) -> None:
    """What a reader does with a block: a new file, or lines of an existing one."""
    target = TARGET.match(code)
    assert target, f"a block does not say where it belongs:\n{code}"
    path, lines = project / target["path"], code[target.end() :]
    if target["change"] is None:
        assert not path.exists(), f"{path} is there already"
        path.write_text(lines)
    elif "add" in target["change"]:
        exported = lines.split()[-1]
        text = path.read_text().replace("\nfrom", f"\n{lines}from", 1)
        path.write_text(text.replace("__all__ = [", f'__all__ = [\n    "{exported}",', 1))
    else:
        path.write_text(_changed(path.read_text(), lines))


def _changed(text: str, lines: str) -> str:
    # The line that begins alike is the one that is meant.
    for line in lines.splitlines():
        beginning = re.escape(line.split(" import ")[0].split(" in (")[0])
        text, replaced = re.subn(rf"^{beginning} (import|in) .*$", line, text, flags=re.MULTILINE)
        assert replaced == 1, f"no line to change for: {line}"
    return text


def test_every_block_is_known() -> None:
    assert {block.language for block in BLOCKS} == {"python", "bash", "text"}
    assert [block.language for block in BLOCKS].count("bash") == 1


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


def test_the_other_assistants_page_points_here() -> None:
    assert "AGENTS.md" in (PROJECT_ROOT / "CLAUDE.md").read_text()
