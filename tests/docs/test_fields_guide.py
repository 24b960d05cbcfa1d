"""docs/fields.md: its recipe, followed to the letter in a copy of the project."""

import os
from pathlib import Path

import pytest

from app.core.config import PROJECT_ROOT
from tests.docs.test_agents import ROUTE_TESTS
from tests.support.markdown import code_blocks
from tests.support.postgres import PostgresServer
from tests.support.project_copy import ProjectCopy
from tests.support.recipe import type_block

PAGE = PROJECT_ROOT / "docs/fields.md"
BLOCKS = code_blocks(PAGE)
FUZZ = "tests/fuzz/test_fuzz.py"
KEPT = {*ROUTE_TESTS, "tests/api/test_input.py", FUZZ}
OWN_TESTS = "tests/api/test_orders.py tests/api/test_api_keys.py"


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    """A copy in which somebody has done what the page says, commands included."""
    copy = ProjectCopy(tmp_path_factory.mktemp("fields") / "project")
    # Most of the time would go into checking the types of tests that the recipe does not touch.
    for path in set(copy.path.glob("tests/**/test_*.py")) - {copy.path / test for test in KEPT}:
        path.unlink()
    copy.run("python cli.py generate-keys > .env")
    for block in BLOCKS:
        if block.language == "python":
            type_block(block.code, copy.path)
        elif block.language == "bash":
            copy.run(block.code)
    return copy


def server_of(postgres: PostgresServer) -> str:
    """That of these tests, rather than one more."""
    return postgres.external_url or postgres.url("postgres")


def test_every_block_is_known() -> None:
    assert {block.language for block in BLOCKS} == {"python", "bash", "text"}


def test_the_recipe_gives_code_that_passes_every_check(followed: ProjectCopy) -> None:
    [migration] = followed.path.glob("migrations/versions/*orders_and_keys.py")
    for name in ('"orders"', '"api_keys"', "sa.LargeBinary()", "sa.JSON()", "sa.Date()"):
        assert name in migration.read_text()

    followed.run("ruff check --fix-only . && ruff format . && ruff check . && mypy && lint-imports")
    followed.run("python cli.py check-migrations && python -m migrations.check_locks")
    followed.run("python cli.py openapi --check")


def test_the_recipes_own_tests_pass_on_both_databases(
    followed: ProjectCopy, postgres: PostgresServer
) -> None:
    output = followed.run(f"pytest -q {OWN_TESTS}", TEST_POSTGRES_URL=server_of(postgres))

    assert " passed" in output


def test_the_tests_that_cover_all_routes_accept_the_recipe(
    followed: ProjectCopy, postgres: PostgresServer
) -> None:
    tests = " ".join(sorted(KEPT - {FUZZ}))
    output = followed.run(f"pytest -q {tests}", TEST_POSTGRES_URL=server_of(postgres))

    assert " passed" in output


def test_made_up_requests_find_no_fault_in_the_recipe(
    followed: ProjectCopy, postgres: PostgresServer
) -> None:
    """A few, always the same; FUZZ_EXAMPLES and FUZZ_SEED make it a run like `make fuzz`."""
    effort = {name: os.environ[name] for name in os.environ if name.startswith("FUZZ_")}
    timeout = "--timeout 0" if effort else ""
    output = followed.run(
        f"pytest -q {timeout} {FUZZ}", TEST_POSTGRES_URL=server_of(postgres), **effort
    )

    assert " passed" in output


def test_the_page_is_found() -> None:
    for page in ("AGENTS.md", "README.md"):
        assert "docs/fields.md" in Path(PROJECT_ROOT / page).read_text()
