"""pyproject.toml states the supported versions of Python, and all other places agree with it."""

import json
import re
import tomllib
from typing import Any

import pytest

from mscr.tests.support.paths import REPOSITORY

CLASSIFIER = "Programming Language :: Python :: "
# The text before the oldest version, in each file that names it.
PLACES = {
    ".ci/run": r"only Python ",
    ".python-version": r"^",
    "Makefile": r"(?:Python |--python-version )",
    "README.md": r"Python ",
    "deploy/Dockerfile": r"python:",
}


def project() -> dict[str, Any]:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def supported() -> list[str]:
    return [each.removeprefix(CLASSIFIER) for each in project()["project"]["classifiers"]]


def test_the_supported_versions_are_consecutive() -> None:
    oldest, *_ = versions = supported()
    minor = int(oldest.removeprefix("3."))

    assert project()["project"]["requires-python"] == f">={oldest}"
    assert versions == [f"3.{number}" for number in range(minor, minor + len(versions))]


def test_the_tools_check_for_the_oldest_version() -> None:
    oldest = supported()[0]
    tools = project()["tool"]

    assert tools["mypy"]["python_version"] == oldest
    assert tools["basedpyright"]["pythonVersion"] == oldest
    assert tools["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"


def test_the_workflow_runs_on_the_oldest_and_on_the_newest_version() -> None:
    workflow = (REPOSITORY / ".github/workflows/ci.yml").read_text()
    [matrix] = re.findall(r"python: (\[.*\])", workflow)

    assert json.loads(matrix) == [supported()[0], supported()[-1]]


@pytest.mark.parametrize("file", PLACES)
def test_a_file_that_names_a_version_names_the_oldest(file: str) -> None:
    text = (REPOSITORY / file).read_text()

    assert set(re.findall(rf"{PLACES[file]}(3\.\d+)", text)) == {supported()[0]}
