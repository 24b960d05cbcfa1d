"""docs/dialects.md: its dialect is that of the example, and the checks of all routes follow it."""

import json
from pathlib import Path

import pytest

from app.core.config import PROJECT_ROOT
from tests.docs.markdown import code_blocks
from tests.docs.project_copy import ProjectCopy
from tests.docs.recipe import replace_file

PAGE = PROJECT_ROOT / "docs/dialects.md"
BLOCKS = {block.language: block.code for block in code_blocks(PAGE)}
EXAMPLE = PROJECT_ROOT / "examples/realworld"
ROUTE_TESTS = ("tests/test_routes.py", "tests/test_openapi.py")
# Those of the template that send requests, except what a project has removed.
API_TESTS = [
    path
    for name in ("auth", "items", "permissions", "registration_by_mail", "users")
    if (PROJECT_ROOT / (path := f"tests/test_{name}.py")).is_file()
]


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    """Return a copy of the project that speaks the dialect of the page."""
    copy = ProjectCopy(tmp_path_factory.mktemp("dialects") / "project", PROJECT_ROOT)
    copy.delete_tests(*ROUTE_TESTS, *API_TESTS)
    replace_file(BLOCKS["python"], copy.path)
    copy.run(BLOCKS["bash"])
    return copy


def test_the_dialect_of_the_page_is_the_one_of_the_example() -> None:
    _, _, code = BLOCKS["python"].partition("\n")
    assert code.strip() == (EXAMPLE / "core/dialect.py").read_text().strip()


def test_the_document_has_no_problem_and_no_bearer_token(followed: ProjectCopy) -> None:
    document = json.loads((followed.path / "openapi.json").read_text())
    users = document["paths"]["/api/v1/users/me"]["get"]

    assert users["security"] == [{"Token": []}]
    assert users["responses"]["401"]["content"].keys() == {"application/json"}
    assert document["components"]["securitySchemes"].keys() >= {"Token"}


def test_the_checks_of_all_routes_pass_in_the_dialect(followed: ProjectCopy) -> None:
    output = followed.run(f"pytest -q -k 'not postgresql' --timeout 600 {' '.join(ROUTE_TESTS)}")

    assert " passed" in output


def test_the_tests_of_the_template_pass_in_the_dialect(followed: ProjectCopy) -> None:
    output = followed.run(f"pytest -q -k 'not postgresql' --timeout 600 {' '.join(API_TESTS)}")

    assert " passed" in output


def test_the_files_that_the_page_names_exist() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.endswith("` |")]
    files = [row.split("`")[-2] for row in rows]

    assert len(files) == 7
    assert [file for file in files if not Path(EXAMPLE / file).is_file()] == []
