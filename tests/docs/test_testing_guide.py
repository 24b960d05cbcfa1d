"""docs/testing.md: its files replace those of a copy of the project, and work there."""

from pathlib import Path

import pytest

from app.core.config import PROJECT_ROOT
from tests.api import Api
from tests.docs.markdown import code_blocks
from tests.docs.project_copy import ProjectCopy
from tests.docs.recipe import replace_file

BLOCKS = code_blocks(PROJECT_ROOT / "docs/testing.md")


def test_a_project_with_the_files_of_the_page_has_the_fixtures_and_all_checks(
    tmp_path: Path,
) -> None:
    if "example_body" in vars(Api):
        pytest.skip("the project has values of its own, which the page's files would replace")
    copy = ProjectCopy(tmp_path / "project", PROJECT_ROOT)
    files = [replace_file(block.code, copy.path) for block in BLOCKS if block.language == "python"]
    names = " ".join(f"'{file}'" for file in files)
    [record] = [block.code for block in BLOCKS if block.language == "bash"]

    copy.run(f"ruff check {names} && ruff format --check {names}")
    (copy.path / "tests/recorded_routes.toml").unlink()
    copy.run(record)

    # One database is enough, and SQLite is the faster one.
    output = copy.run(f"pytest -q -k 'not postgresql' {names}")
    assert " passed" in output
    recorded = (copy.path / "tests/recorded_routes.toml").read_text()
    assert recorded == (PROJECT_ROOT / "tests/recorded_routes.toml").read_text()
