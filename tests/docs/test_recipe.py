"""A recipe is skipped, and not failed, in a project that has its files already."""

from pathlib import Path

import pytest

from tests.docs.markdown import CodeBlock
from tests.docs.recipe import skip_if_taken

NEW = CodeBlock("python", "# app/models/note.py\nnumber = 1\n")
CHANGED = CodeBlock("python", "# app/main.py (append)\nnumber = 1\n")
COMMAND = CodeBlock("bash", "make check\n")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "app/models").mkdir(parents=True)
    (tmp_path / "app/main.py").touch()
    return tmp_path


def test_a_recipe_whose_file_the_project_has_is_skipped(project: Path) -> None:
    (project / "app/models/note.py").touch()

    with pytest.raises(pytest.skip.Exception, match=r"has its own app/models/note\.py"):
        skip_if_taken([COMMAND, CHANGED, NEW], project)


def test_a_recipe_that_changes_files_of_the_project_is_followed(project: Path) -> None:
    skip_if_taken([COMMAND, CHANGED, NEW], project)
