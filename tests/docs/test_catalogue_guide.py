"""docs/catalogue.md: its table is right, and its commands and recipe work in a copy."""

import ast
import re
import shutil
from pathlib import Path

import pytest

from app.core.config import PROJECT_ROOT
from mscr.testing.postgres import PostgresServer
from tests.docs.markdown import code_blocks
from tests.docs.project_copy import ProjectCopy
from tests.docs.recipe import skip_if_taken, type_block

PAGE = PROJECT_ROOT / "docs/catalogue.md"
BLOCKS = code_blocks(PAGE)
CATALOGUE = PROJECT_ROOT / "examples/catalogue"
ROWS = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and "`" in line]
NAMES = r"(?:`\w[\w.]*`(?:, )?)+"


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    """Return a copy of the project in which the page was followed, including its commands."""
    skip_if_taken(BLOCKS, PROJECT_ROOT)
    copy = ProjectCopy(tmp_path_factory.mktemp("catalogue") / "project", PROJECT_ROOT)
    copy.delete_tests()
    copy.run("python cli.py generate-keys > .env")
    for block in BLOCKS:
        if block.language == "python":
            type_block(block.code, copy.path)
        else:
            copy.run(block.code)
    return copy


def test_every_block_has_an_expected_language() -> None:
    assert {block.language for block in BLOCKS} == {"python", "bash"}


def test_the_table_names_what_there_is() -> None:
    files = {file for row in ROWS for file in re.findall(r"`(\w+/[\w/]+\.py)`", row)}
    named = [found for row in ROWS for found in re.findall(rf"({NAMES}) of `([\w/]+\.py)`", row)]

    assert all((CATALOGUE / file).is_file() for file in files)
    assert len(named) > 10
    for names, file in named:
        last_class = ""
        for name in re.findall(r"`([\w.]+)`", names):
            owner, _, member = name.rpartition(".")
            last_class = owner or last_class
            assert {name, f"{last_class}.{member}"} & _defined_in(CATALOGUE / file), (name, file)


def test_the_commands_make_a_database_with_demo_data_and_a_document(followed: ProjectCopy) -> None:
    assert (followed.path / "catalogue.db").is_file()
    assert '"/api/v1/items/bulk"' in (followed.path / "catalogue.json").read_text()


def test_the_recipe_gives_code_that_passes_the_checks(followed: ProjectCopy) -> None:
    [migration] = followed.path.glob("migrations/versions/*add_books.py")
    assert '"books"' in migration.read_text()

    # As `make fmt` does, for the order of imports in files that exist.
    followed.run("ruff check --fix-only . && ruff format .")
    followed.run("ruff check . && lint-imports && mypy")
    followed.run("python cli.py check-migrations && python cli.py openapi --check")
    followed.run("python -m checks.public_names && python -m migrations.check_locks")


def test_the_recipes_own_tests_pass_on_both_databases(
    followed: ProjectCopy, postgres: PostgresServer
) -> None:
    # Reuse the server of these tests.
    server = postgres.external_url or postgres.url("postgres")
    output = followed.run("pytest -q tests/test_books.py", TEST_POSTGRES_URL=server)

    assert "4 passed" in output


def test_the_catalogue_works_without_the_application(tmp_path: Path) -> None:
    copy = ProjectCopy(tmp_path / "project", PROJECT_ROOT)
    for folder in ("app", "benchmarks", "checks", "migrations", "tests"):
        shutil.rmtree(copy.path / folder)

    # One database is enough, and the checks of all routes take longer than all other tests.
    output = copy.run("pytest -q examples/catalogue -k 'not postgresql and not routes'")

    assert re.search(r"^\d\d+ passed", output, re.MULTILINE)


def _defined_in(file: Path) -> set[str]:
    """Return the names that a module defines, with those of its classes."""
    defined = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ClassDef):
            defined.add(node.name)
            defined |= {f"{node.name}.{name}" for each in node.body for name in _names_of(each)}
        defined |= set(_names_of(node))
    return defined


def _names_of(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.AnnAssign):
        return [ast.unparse(node.target)]
    if isinstance(node, ast.Assign):
        return [ast.unparse(target) for target in node.targets]
    return [node.name] if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else []
