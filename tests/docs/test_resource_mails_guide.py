"""docs/resource_mails.md: its recipe, followed literally in a copy of the project."""

from pathlib import Path

import pytest

from app.core.config import PROJECT_ROOT
from mscr.testing.postgres import PostgresServer
from tests.docs.markdown import code_blocks
from tests.docs.project_copy import ProjectCopy
from tests.docs.recipe import TARGET, replace_file, skip_if_taken, type_block

BLOCKS = code_blocks(PROJECT_ROOT / "docs/resource_mails.md")
LAST_ARGUMENT = "        dialect=DIALECT,\n"
ROUTES = "tests/test_routes.py"


def write(code: str, project: Path) -> None:
    """Write a block as a reader does, also into the imports and the call of `app/main.py`."""
    target = TARGET.match(code)
    assert target, code
    path, lines = project / target["path"], code[target.end() :]
    if target["change"] == "replace":
        replace_file(code, project)
    elif target["change"] == "import":
        path.write_text(path.read_text().replace("\nfrom ", f"\n{lines}from ", 1))
    elif target["change"] == "add to install()":
        assert LAST_ARGUMENT in path.read_text()
        path.write_text(path.read_text().replace(LAST_ARGUMENT, LAST_ARGUMENT + lines))
    else:
        type_block(code, project)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    """Return a copy of the project in which the page was followed."""
    skip_if_taken(BLOCKS, PROJECT_ROOT)
    if not (PROJECT_ROOT / "app/services/item_service.py").exists():
        pytest.skip("the project has no items")
    copy = ProjectCopy(tmp_path_factory.mktemp("resource_mails") / "project", PROJECT_ROOT)
    copy.delete_tests(ROUTES, "tests/test_mails.py", "tests/test_items.py")
    copy.run("python cli.py generate-keys > .env")
    for block in BLOCKS:
        write(block.code, copy.path)
    copy.run("ruff check --fix-only . && ruff format .")
    return copy


def test_every_block_has_an_expected_language() -> None:
    assert {block.language for block in BLOCKS} == {"jinja", "toml", "python"}


def test_the_recipe_passes_the_checks_of_code(followed: ProjectCopy) -> None:
    followed.run("ruff check . && mypy app tests && lint-imports && python cli.py openapi --check")


def test_the_recipes_own_tests_pass_on_both_databases(
    followed: ProjectCopy, postgres: PostgresServer
) -> None:
    # Reuse the server of these tests.
    server = postgres.external_url or postgres.url("postgres")
    tests = "tests/test_archive_mails.py tests/test_mails.py tests/test_items.py"

    output = followed.run(f"pytest -q {tests}", TEST_POSTGRES_URL=server)

    assert " passed" in output


def test_the_tests_of_all_routes_accept_the_recipe(followed: ProjectCopy) -> None:
    # One database is enough for these tests, and SQLite is the faster one.
    output = followed.run(f"pytest -q -k 'not postgresql' {ROUTES}")

    assert " passed" in output
