"""docs/fields.md: its recipe, followed literally in a copy of the project."""

import os
from pathlib import Path

import pytest

from app.core.config import PROJECT_ROOT
from mscr.testing.postgres import PostgresServer
from tests.docs.markdown import code_blocks
from tests.docs.project_copy import ProjectCopy
from tests.docs.recipe import skip_if_taken, type_block
from tests.docs.test_agents import ROUTE_TESTS

PAGE = PROJECT_ROOT / "docs/fields.md"
BLOCKS = code_blocks(PAGE)
FUZZ = "tests/fuzz/test_fuzz.py"
OWN_TESTS = "tests/test_orders.py tests/test_api_keys.py"


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    """Return a copy of the project in which the page was followed, including its commands."""
    skip_if_taken(BLOCKS, PROJECT_ROOT)
    copy = ProjectCopy(tmp_path_factory.mktemp("fields") / "project", PROJECT_ROOT)
    copy.delete_tests(*ROUTE_TESTS, FUZZ)
    copy.run("python cli.py generate-keys > .env")
    for block in BLOCKS:
        if block.language == "python":
            type_block(block.code, copy.path)
        elif block.language == "bash":
            copy.run(block.code)
    return copy


def server_of(postgres: PostgresServer) -> str:
    """Return the URL of the server of these tests, to avoid starting another."""
    return postgres.external_url or postgres.url("postgres")


def test_every_block_has_an_expected_language() -> None:
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
    output = followed.run(
        f"pytest -q {' '.join(ROUTE_TESTS)}", TEST_POSTGRES_URL=server_of(postgres)
    )

    assert " passed" in output


def test_fuzzing_finds_no_fault_in_the_recipe(
    followed: ProjectCopy, postgres: PostgresServer
) -> None:
    """By default a few, always the same; FUZZ_EXAMPLES and FUZZ_SEED work as in `make fuzz`."""
    effort = {name: os.environ[name] for name in os.environ if name.startswith("FUZZ_")}
    timeout = "--timeout 0" if effort else ""
    output = followed.run(
        f"pytest -q {timeout} {FUZZ}", TEST_POSTGRES_URL=server_of(postgres), **effort
    )

    assert " passed" in output


def test_other_pages_link_to_the_page() -> None:
    for page in ("AGENTS.md", "README.md"):
        assert "docs/fields.md" in Path(PROJECT_ROOT / page).read_text()
