"""A small project with an example resource, `things`."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from typer.testing import CliRunner

from examples.catalogue.core.config import Settings
from examples.catalogue.project import project as catalogue
from mscr.cli import database, scaffolding
from mscr.cli.command_line import command_line
from mscr.project import Project
from mscr.tests.support.command_line import Finished

MIGRATION = """\
revision = "{revision}"
down_revision = {revises!r}


def upgrade() -> None: ...
"""
TABLE = "CREATE TABLE things (id INTEGER)"
FILES = {
    "alembic.ini": "[alembic]\nscript_location = %(here)s/migrations\n",
    ".env.example": "old\n",
    "cli.py": (
        "import sys\n\nimport shop.core.config\nimport shop.main\n\n"
        "print(sys.argv[1], shop.main.ROUTERS, shop.core.config.Settings.APP_NAME)\n"
    ),
    "deploy/Dockerfile": 'LABEL image.title="old" image.description="Old"\n',
    "openapi.json": "old\n",
    "pyproject.toml": '[project]\nname = "old"\n\n[tool.x]\nname = "other"\n',
    "README.md": "# Shop\n\nIt has things.\n\nEnd.\n",
    "docs/list.md": "GET /things, of the kit\n",
    "migrations/env.py": "",
    "migrations/versions/1_accounts.py": MIGRATION.format(revision="1", revises=None),
    "migrations/versions/2_things.py": MIGRATION.format(revision="2", revises="1"),
    "migrations/versions/released.txt": "aa  1_accounts.py\nbb  2_things.py\n",
    "shop/__init__.py": "",
    "shop/example.toml": """\
table = "things"
path = "/things"
migration = "2_things.py"
files = ["shop/thing.py", "tests/test_things.py", "docs/things.md"]

[elements]
"shop/main.py" = ["thing.ROUTER"]

[queries]
"DELETE /me" = 1

[[passages]]
file = "README.md"
old = "It has things.\\n\\n"
new = ""

[[passages]]
file = "docs/missing.md"
old = "things"
new = ""
""",
    "shop/core/config.py": """\
def Field(default: str) -> str:
    return default


class Settings:
    APP_NAME: str = Field(
        default="Shop",
    )
""",
    "shop/main.py": 'from shop import thing\n\nROUTERS = ["users", thing.ROUTER]\n',
    "shop/thing.py": 'ROUTER = "things"\n\n\nclass Thing: ...\n',
    "tests/recorded_routes.toml": (
        '"GET /things" = { statements = 1 }\n"GET /things/{id}" = { statements = 1 }\n'
        '"GET /thingsets" = { statements = 4 }\n"DELETE /me" = { name = "x", statements = 9 }\n'
    ),
    "tests/test_things.py": "",
}


def write_project(root: Path) -> None:
    for name, text in FILES.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def project_in(root: Path, url: str) -> Project:
    """Return the project, whose commands use this database."""
    return replace(
        catalogue,
        root=root,
        package="shop",
        get_settings=lambda: Settings.from_env_file(None, DATABASE_URL=url),
    )


def texts(root: Path) -> dict[str, str]:
    """Return the text of every file."""
    files = [
        file
        for file in sorted(root.rglob("*"))
        if file.is_file() and not {".git", "__pycache__"} & {*file.parts}
    ]
    return {str(file.relative_to(root)): file.read_text() for file in files}


class Shop:
    """The project in a folder, and its commands."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = f"sqlite+aiosqlite:///{root}/app.db"
        write_project(root)

    def run(self, *options: str, typed: str = "") -> Finished:
        project = project_in(self.root, self.url)
        app = command_line(project, scaffolding.commands, database.commands, about="The shop.")
        result = CliRunner().invoke(app, options, input=typed)
        return Finished(options, result.exit_code, result.stdout, result.stderr)

    def edit(self, file: str, old: str, new: str) -> None:
        text = (self.root / file).read_text()
        assert old in text
        (self.root / file).write_text(text.replace(old, new))

    def assert_refuses(self, command: str, *lines: str) -> None:
        """Assert that it ends with these lines, and has written nothing."""
        before = texts(self.root)

        finished = self.run(command, "--yes")

        assert finished.returncode == 1
        assert finished.stderr.splitlines() == [f"Error: {lines[0]}", *lines[1:]]
        assert texts(self.root) == before

    def make_table(self) -> None:
        (self.root / ".env").write_text("")
        with closing(sqlite3.connect(self.root / "app.db")) as connection:
            connection.execute(TABLE)
