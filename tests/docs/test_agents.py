"""AGENTS.md, docs/writes.md and docs/resources.md, followed literally in a copy of the project.

The others continue the recipe of AGENTS.md.
"""

from pathlib import Path

import pytest

from app.core.config import PROJECT_ROOT
from mscr.testing.postgres import PostgresServer
from tests.docs.markdown import code_blocks
from tests.docs.project_copy import ProjectCopy
from tests.docs.recipe import replace_file, skip_if_taken, type_block

PAGE = PROJECT_ROOT / "AGENTS.md"
BLOCKS = code_blocks(PAGE)
WRITES = code_blocks(PROJECT_ROOT / "docs/writes.md")
RESOURCES = code_blocks(PROJECT_ROOT / "docs/resources.md")
# The tests that cover every route, and so find a step missing from the recipe.
ROUTE_TESTS = ("tests/test_routes.py", "tests/test_openapi.py")

DELETION = """\
from sqlalchemy import select

from app.db.session import Database
from app.models import Note
from tests.api import Api


async def test_deletion(api: Api, database: Database) -> None:
    owner = await api.register()
    await api.client.post("/api/v1/notes", json={"text": "private"}, headers=owner.headers)
    await api.client.request(
        "DELETE", "/api/v1/users/me", json={"password": owner.password}, headers=owner.headers
    )
    async with database.read_sessions() as session:
        assert (await session.scalars(select(Note.id))).all() == []
"""


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    """Return a copy of the project in which the page was followed, including its commands."""
    skip_if_taken(BLOCKS, PROJECT_ROOT)
    copy = ProjectCopy(tmp_path_factory.mktemp("agents") / "project", PROJECT_ROOT)
    copy.delete_tests(*ROUTE_TESTS)
    copy.run("python cli.py generate-keys > .env")
    for block in BLOCKS:
        if block.language == "python":
            type_block(block.code, copy.path)
        elif block.language == "bash":
            copy.run(block.code)
    return copy


def test_every_block_has_an_expected_language() -> None:
    assert {block.language for block in BLOCKS} == {"python", "bash", "text"}


def test_the_recipe_gives_a_feature_that_migrates_and_passes_every_check(
    followed: ProjectCopy,
) -> None:
    migrations = [path.read_text() for path in followed.path.glob("migrations/versions/*notes.py")]
    assert len(migrations) == 1
    assert '"notes"' in migrations[0]


def test_the_recipes_own_test_passes_on_both_databases(
    followed: ProjectCopy, postgres: PostgresServer
) -> None:
    # Reuse the server of these tests.
    server = postgres.external_url or postgres.url("postgres")
    output = followed.run("pytest tests/test_notes.py", TEST_POSTGRES_URL=server)

    assert "2 passed" in output


def test_deleting_a_user_deletes_the_notes_of_the_recipe(followed: ProjectCopy) -> None:
    test = followed.path / "tests/test_deleted_notes.py"
    test.write_text(DELETION)

    assert "1 passed" in followed.run(f"pytest -q -k 'not postgresql' {test}")


def test_the_tests_of_all_routes_accept_the_recipe(
    followed: ProjectCopy,
) -> None:
    # One database is enough for these tests, and SQLite is the faster one.
    output = followed.run(f"pytest -q -k 'not postgresql' {' '.join(ROUTE_TESTS)}")

    assert " passed" in output


def test_the_writes_guide_describes_the_notes_of_the_recipe(followed: ProjectCopy) -> None:
    skip_if_taken(WRITES, PROJECT_ROOT)
    [test] = [block.code for block in WRITES if block.language == "python"]
    type_block(test, followed.path)

    # Again one database is enough.
    assert "1 passed" in followed.run("pytest -q -k 'not postgresql' tests/test_note_writes.py")
    [command] = [block.code for block in WRITES if block.language == "bash"]
    assert "deleted 0 expired idempotency keys\n" in followed.run(command)


def test_the_rules_of_the_resources_guide_pass_the_checks_and_their_tests(
    followed: ProjectCopy, tmp_path: Path, postgres: PostgresServer
) -> None:
    skip_if_taken(RESOURCES, PROJECT_ROOT)
    copy = ProjectCopy(tmp_path / "project", source=followed.path)
    copy.run("python cli.py generate-keys > .env")
    for block in RESOURCES:
        if "(" in block.code.partition("\n")[0]:
            type_block(block.code, copy.path)
        else:
            replace_file(block.code, copy.path)
    # As `make fmt` does, for the order of imports in files that exist.
    copy.run("ruff check --fix-only .")
    copy.run("ruff check . && ruff format --check . && lint-imports && mypy app tests")
    copy.run('alembic upgrade head; alembic revision --autogenerate -m "Rules and loans"')
    copy.run("alembic upgrade head")

    server = postgres.external_url or postgres.url("postgres")
    tests = "tests/test_note_rules.py tests/test_notes.py tests/test_loans.py"
    assert " passed" in copy.run(f"pytest -q {tests}", TEST_POSTGRES_URL=server)
    copy.run("python cli.py openapi --write && make record")
    assert " passed" in copy.run(f"pytest -q -k 'not postgresql' {' '.join(ROUTE_TESTS)}")


def test_the_other_assistants_page_points_here() -> None:
    assert "AGENTS.md" in (PROJECT_ROOT / "CLAUDE.md").read_text()
