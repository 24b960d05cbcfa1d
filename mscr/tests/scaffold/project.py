"""A small project with an example resource, `things`."""

from dataclasses import replace
from pathlib import Path

from examples.catalogue.core.config import Settings
from examples.catalogue.project import project as catalogue
from mscr.project import Project

MIGRATION = """\
revision = "{revision}"
down_revision = {revises!r}


def upgrade() -> None: ...
"""
FILES = {
    "alembic.ini": "[alembic]\nscript_location = %(here)s/migrations\n",
    "cli.py": "import shop.main\n\nprint(shop.main.ROUTERS)\n",
    "openapi.json": "old\n",
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
        file for file in sorted(root.rglob("*")) if file.is_file() and ".git/" not in str(file)
    ]
    return {str(file.relative_to(root)): file.read_text() for file in files}
