"""docs/auth.md and docs/database.md: a role with a permission is added, and removed again."""

import os

import pytest

from app.core.config import PROJECT_ROOT
from mscr.testing.api import PASSWORD
from tests.docs.markdown import CodeBlock, code_blocks
from tests.docs.project_copy import ProjectCopy
from tests.docs.recipe import type_block
from tests.recipes.conftest import BACKENDS, Databases

HEADING = "### Add a role or a permission\n"
KEYS = ("SECRET_KEY", "JWT_SECRET_KEY")
GIVE = f"""
echo '{PASSWORD}' | python cli.py create-user --email ada@example.com --password-stdin
python cli.py set-role ada@example.com moderator
"""


def recipe() -> list[CodeBlock]:
    page = (PROJECT_ROOT / "docs/auth.md").read_text()
    section = page.partition(HEADING)[2].partition("\n## ")[0]
    return [block for block in code_blocks(PROJECT_ROOT / "docs/auth.md") if block.code in section]


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    """Return a copy of the project in which the recipe was followed, including its commands."""
    copy = ProjectCopy(tmp_path_factory.mktemp("roles") / "project", PROJECT_ROOT)
    copy.run("python cli.py generate-keys > .env")
    for block in recipe():
        if block.language == "python":
            type_block(block.code, copy.path)
        else:
            copy.run(block.code)
    return copy


@pytest.fixture(scope="module")
def without(followed: ProjectCopy, tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    """Return a copy of that in which the role was removed."""
    copy = ProjectCopy(tmp_path_factory.mktemp("without") / "project", followed.path)
    for name in ("app/models/user.py", "app/core/security/permissions.py"):
        path = copy.path / name
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if "MODERATOR" not in line))
    copy.run("python cli.py generate-keys > .env && alembic upgrade head")
    copy.run("alembic revision --autogenerate -m 'Remove moderators'")
    return copy


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, databases: Databases) -> str:
    return databases.create(request.param)


def environment(url: str) -> dict[str, str]:
    return {"DATABASE_URL": url, **{name: os.environ[name] for name in KEYS}}


def test_the_migration_is_the_one_that_the_page_shows(followed: ProjectCopy) -> None:
    [migration] = followed.path.glob("migrations/versions/*add_moderators.py")
    [shown] = [
        block.code.partition("\n")[2]
        for block in code_blocks(PROJECT_ROOT / "docs/database.md")
        if "add_moderators.py" in block.code
    ]

    lines = [line for line in migration.read_text().splitlines() if "# ###" not in line]
    assert shown.strip() in "\n".join(lines)


def test_the_recipe_passes_the_checks(followed: ProjectCopy) -> None:
    followed.run(
        "ruff check . && ruff format --check app tests migrations && lint-imports --no-logo"
    )
    followed.run("mypy app tests/test_moderators.py migrations")
    followed.run("python cli.py check-migrations && python -m migrations.check_locks")
    followed.run("python cli.py openapi --check")


def test_the_tests_of_roles_pass_without_an_edit(followed: ProjectCopy) -> None:
    output = followed.run("pytest -q tests/test_moderators.py tests/test_permissions.py")
    output += followed.run("pytest -q tests/test_commands.py -k role")

    assert output.count(" passed") == 2


def test_a_role_that_an_account_has_cannot_be_removed(
    followed: ProjectCopy, without: ProjectCopy, url: str
) -> None:
    followed.run(f"alembic upgrade head {GIVE}", **environment(url))
    before = followed.run("alembic current", **environment(url))

    refused = without.run("! alembic upgrade head", **environment(url))
    after = followed.run("alembic current && alembic check", **environment(url))
    followed.run("python cli.py set-role ada@example.com user", **environment(url))
    without.run("alembic upgrade head && alembic check", **environment(url))

    assert "FAILED: 1 rows of users violate ck_users_role" in refused
    assert after.startswith(before)
