"""AGENTS.md: its recipe, followed to the letter in a copy of the project.

And docs/writes.md, which goes on from there. The types of docs/bulk.md are checked on the way.
"""

from pathlib import Path

import pytest

from app.core.config import PROJECT_ROOT
from tests.docs.test_bulk_guide import RECIPE as BULK_RECIPE
from tests.support.markdown import code_blocks
from tests.support.postgres import PostgresServer
from tests.support.project_copy import ProjectCopy
from tests.support.recipe import replace_file, type_block

PAGE = PROJECT_ROOT / "AGENTS.md"
BLOCKS = code_blocks(PAGE)
WRITES = code_blocks(PROJECT_ROOT / "docs/writes.md")
# The tests that know of every route, and so of a step that the recipe leaves out.
ROUTE_TESTS = [
    f"tests/api/test_{name}.py"
    for name in (
        *("permissions", "openapi", "openapi_for_clients", "answers", "errors"),
        "statement_counts",
    )
]

DELETION = """
from sqlalchemy import select

from app.models import Note


async def test_deletion(api, database):
    owner = await api.register()
    await api.client.post("/api/v1/notes", json={"text": "private"}, headers=owner.headers)
    await api.client.request(
        "DELETE", "/api/v1/users/me", json={"password": owner.password}, headers=owner.headers
    )
    async with database.read_sessions() as session:
        assert (await session.scalars(select(Note.is_deleted))).all() == [True]
"""


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    """A copy in which somebody has done what the page says, commands included."""
    copy = ProjectCopy(tmp_path_factory.mktemp("agents") / "project")
    # Most of the time would go into checking the types of tests that the recipe does not touch.
    kept = {copy.path / test for test in ROUTE_TESTS}
    for path in set(copy.path.glob("tests/**/test_*.py")) - kept:
        path.unlink()
    copy.run("python cli.py generate-keys > .env")
    for block in BLOCKS:
        if block.language == "python":
            type_block(block.code, copy.path)
        elif block.language == "bash":
            copy.run(block.code)
    return copy


def test_every_block_is_known() -> None:
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
    # The server of these tests, rather than one more.
    server = postgres.external_url or postgres.url("postgres")
    output = followed.run("pytest tests/api/test_notes.py", TEST_POSTGRES_URL=server)

    assert "2 passed" in output


def test_a_users_deletion_takes_along_what_the_recipe_added(followed: ProjectCopy) -> None:
    test = followed.path / "tests/api/test_deleted_notes.py"
    test.write_text(DELETION)

    assert "1 passed" in followed.run(f"pytest -q -k 'not postgresql' {test}")


def test_the_recipe_declares_its_routes_wherever_that_is_needed(followed: ProjectCopy) -> None:
    # One database is enough for these, and SQLite is the faster one.
    output = followed.run(f"pytest -q -k 'not postgresql' {' '.join(ROUTE_TESTS)}")

    assert " passed" in output


def test_the_guide_to_writing_gives_routes_that_pass_the_checks_and_its_test(
    followed: ProjectCopy, tmp_path: Path
) -> None:
    copy = ProjectCopy(tmp_path / "project", source=followed.path)
    copy.run("python cli.py generate-keys > .env")
    code = [block.code for block in WRITES if block.language == "python"]
    rows = [block for block in code if "(add to " in block.partition("\n")[0]]
    files = [replace_file(block, copy.path) for block in code if block not in rows]
    for block in rows:
        type_block(block, copy.path)
    names = " ".join(f"'{file}'" for file in files)
    recipe = copy.path / "books.py"
    recipe.write_text(BULK_RECIPE)
    types = f"mypy app {recipe.name}"
    copy.run(f"ruff check {names} && ruff format --check {names} && lint-imports && {types}")
    copy.run('alembic upgrade head; alembic revision --autogenerate -m "Version them"')

    # One database is enough here too, and of the tests of routes one for each table.
    tests = f"'{files[-1]}' {' '.join(ROUTE_TESTS)}"
    chosen = "not postgresql and (note_writes or permissions or stable_and_unique or declared)"
    output = copy.run(f"alembic upgrade head && pytest -q -k '{chosen}' {tests}")

    assert " passed" in output
    [command] = [block.code for block in WRITES if block.language == "bash"]
    assert "deleted 0 expired idempotency keys\n" in copy.run(command)


def test_the_other_assistants_page_points_here() -> None:
    assert "AGENTS.md" in (PROJECT_ROOT / "CLAUDE.md").read_text()
