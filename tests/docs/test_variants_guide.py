"""docs/variants.md: its variants of a resource, followed literally in a copy of the project."""

import tomllib

import pytest

from app.core.config import PROJECT_ROOT
from mscr.testing.postgres import PostgresServer
from tests.docs.markdown import code_blocks
from tests.docs.project_copy import ProjectCopy
from tests.docs.recipe import type_block
from tests.docs.test_agents import ROUTE_TESTS

BLOCKS = code_blocks(PROJECT_ROOT / "docs/variants.md")
OWN_TESTS = (
    "tests/test_orders.py tests/test_order_lines.py tests/test_boards.py tests/test_articles.py"
)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    """Return a copy of the project in which the page was followed, including its commands."""
    copy = ProjectCopy(tmp_path_factory.mktemp("variants") / "project", PROJECT_ROOT)
    copy.delete_tests(*ROUTE_TESTS)
    copy.run("python cli.py generate-keys > .env")
    for block in BLOCKS:
        if block.language == "python":
            type_block(block.code, copy.path)
        else:
            copy.run("ruff check --fix-only .")
            copy.run(block.code)
    return copy


def test_every_block_has_an_expected_language() -> None:
    assert {block.language for block in BLOCKS} == {"python", "bash"}


def test_the_variants_pass_the_checks_of_code(followed: ProjectCopy) -> None:
    followed.run("ruff check . && ruff format --check . && lint-imports && mypy app tests")


def test_the_routes_of_lines_were_called_with_the_ids_of_lines(followed: ProjectCopy) -> None:
    """Their access would otherwise be tested on lines that do not exist."""
    record = tomllib.loads((followed.path / "tests/recorded_routes.toml").read_text())
    path = "/api/v1/orders/{public_id}/lines/{line_public_id}"

    assert record[f"PATCH {path}"]["statements"] == record[f"DELETE {path}"]["statements"] == 6


def test_the_variants_own_tests_pass_on_both_databases(
    followed: ProjectCopy, postgres: PostgresServer
) -> None:
    # Reuse the server of these tests.
    server = postgres.external_url or postgres.url("postgres")

    output = followed.run(f"pytest -q {OWN_TESTS}", TEST_POSTGRES_URL=server)

    assert "20 passed" in output


def test_the_tests_of_all_routes_accept_the_variants(followed: ProjectCopy) -> None:
    # One database is enough for these tests, and SQLite is the faster one.
    output = followed.run(f"pytest -q -k 'not postgresql' {' '.join(ROUTE_TESTS)}")

    assert " passed" in output
