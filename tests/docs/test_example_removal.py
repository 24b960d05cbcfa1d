"""`python cli.py remove-example` in copies of the project: new ones, and one that is in use."""

import re

import pytest

from app.core.config import PROJECT_ROOT
from tests.docs.project_copy import ProjectCopy

REMOVE = "python cli.py remove-example --yes"
# The migrations of a new project.
NEW = {"20261123_0254_accounts.py", "20261123_1340_items.py"}
# The steps of `make check` that a removal could break, without the types, which take minutes.
CHECK = """
ruff format --check . && ruff check . && codespell && python -m checks.prose
lint-imports --no-logo && python -m checks.rooms && python -m checks.public_names
deptry --no-ansi . && python cli.py env-example --check && python cli.py openapi --check
python cli.py release-migrations --check
"""
CHECK_MIGRATIONS = "python cli.py check-migrations && python -m migrations.check_locks"
TESTS = "tests/test_permissions.py tests/test_project.py tests/test_routes.py"
# A table with a search of its own, which uses the functions of the example's migration.
OWN_SEARCH = '''
revision = "own_search"
down_revision = "{head}"

from alembic import op

def upgrade():
    if op.get_context().dialect.name == "postgresql":
        # In two texts, so that Alembic does not expect a model.
        op.execute("CREATE" + """ TABLE books (title text, words tsvector GENERATED ALWAYS AS
            (CAST(coalesce(weighed_words(title, 'A'), '') AS tsvector)) STORED)""")

def downgrade():
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP TABLE books")
'''


@pytest.fixture
def copy(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    return ProjectCopy(tmp_path_factory.mktemp("removal") / "project", PROJECT_ROOT)


def test_a_new_project_passes_its_checks_and_tests_without_the_example(copy: ProjectCopy) -> None:
    before = migrations_of(copy)
    output = copy.run(REMOVE)

    # Nothing is left to do by hand.
    assert "left to you" not in output
    if before == NEW:
        assert migrations_of(copy) == NEW - {"20261123_1340_items.py"}
    else:
        # Later migrations follow that of the example.
        [added] = migrations_of(copy) - before
        assert added.endswith("_drop_items.py")
    copy.run(CHECK)
    copy.run(CHECK_MIGRATIONS)
    assert_is_recorded_again(copy)
    # One database is enough, and SQLite is the faster one.
    assert " passed" in copy.run(f"pytest -q -k 'not postgresql' {TESTS}")


def migrations_of(copy: ProjectCopy) -> set[str]:
    return {path.name for path in copy.path.glob("migrations/versions/*.py")}


def assert_is_recorded_again(copy: ProjectCopy) -> None:
    """Assert that `make record`, the next step, finds what the removal and the tests find."""
    record = copy.path / "tests/recorded_routes.toml"
    before = record.read_text()

    copy.run("make record")

    assert record.read_text() == before


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"], indirect=True)
def test_a_database_in_use_loses_the_table_by_a_migration(
    copy: ProjectCopy, database_url: str
) -> None:
    copy.run("python cli.py generate-keys > .env")
    [head] = re.findall(r"(\w+) \(head\)", copy.run("alembic heads"))
    books = copy.path / "migrations/versions/own_search.py"
    books.write_text(OWN_SEARCH.replace("{head}", head))
    copy.run("alembic upgrade head", DATABASE_URL=database_url)

    output = copy.run(REMOVE, DATABASE_URL=database_url)

    [name] = re.findall(r"adds (\w+_drop_items.py),", output)
    for script in ("alembic upgrade head && alembic check", "alembic downgrade base"):
        copy.run(script, DATABASE_URL=database_url)
    books.unlink()
    added = copy.path / "migrations/versions" / name
    added.write_text(added.read_text().replace('"own_search"', f'"{head}"'))
    copy.run(f"{CHECK_MIGRATIONS} && ruff check {added} && ruff format --check {added}")
