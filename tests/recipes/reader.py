"""A reader who adds a resource by the guide's recipes in a copy of the project."""

import os
from dataclasses import dataclass
from pathlib import Path

from tests.docs.project_copy import ProjectCopy

BLOCKS = Path(__file__).parent / "new_model"
TARGETS = {
    "model": "app/models/new_model.py",
    "repository": "app/repositories/new_model_repository.py",
    "service": "app/services/new_model_service.py",
    "router": "app/routers/new_models.py",
}
# Imports that the guide leaves to the reader or to the reader's editor.
LEFT_OUT = {
    "model": "from sqlalchemy import String\nfrom sqlalchemy.orm import Mapped, mapped_column\n",
    "service": "from app.models.new_model import NewModel\n",
}
MIGRATE = """
alembic revision --autogenerate -m "Add new_model table"
alembic upgrade head
alembic check
"""
# The last two commands in one process, to import everything only once.
DEPLOY = 'python -c \'from alembic.config import main; main(["upgrade", "head"]); main(["check"])\''


@dataclass(frozen=True)
class Reader:
    """The choices that the recipes leave to the reader.

    The guide does not say what the two schemas derive from, where the two lines that register the
    router go, or on which database to generate the migration for both.
    """

    schemas: str
    registers_inside_create_app: bool
    develops_on: str
    deploys_on: str

    def __str__(self) -> str:
        place = "inside" if self.registers_inside_create_app else "below"
        return f"{self.schemas}-{place}-{self.develops_on}-{self.deploys_on}"


# PostgreSQL serves the reader whose schemas accept values that it cannot store.
READERS = (
    Reader(
        schemas="project",
        registers_inside_create_app=False,
        develops_on="postgresql",
        deploys_on="sqlite",
    ),
    Reader(
        schemas="plain",
        registers_inside_create_app=True,
        develops_on="sqlite",
        deploys_on="postgresql",
    ),
)


def block(name: str) -> str:
    return (BLOCKS / f"{name}.txt").read_text()


def follow(reader: Reader, project: ProjectCopy, database_url: str) -> str:
    """Type in the recipes, and run the commands that generate the migration and apply it."""
    for name, target in TARGETS.items():
        (project.path / target).write_text(LEFT_OUT.get(name, "") + block(name))
    schemas = project.path / "app/schemas/new_model_schemas.py"
    schemas.write_text(block(f"schemas_{reader.schemas}"))
    _export_model(project.path / "app/models/__init__.py")
    _register_router(project.path / "app/main.py", inside=reader.registers_inside_create_app)
    return project.run(MIGRATE, **_settings(database_url))


def deploy(project: ProjectCopy, database_url: str) -> str:
    """Apply the existing migration to another database, and compare it with the models."""
    return project.run(DEPLOY, **_settings(database_url))


def _settings(database_url: str) -> dict[str, str]:
    """Return the settings of a newcomer, with the secrets of the tests."""
    keys = {name: os.environ[name] for name in ("SECRET_KEY", "JWT_SECRET_KEY")}
    return {"DATABASE_URL": database_url, **keys}


def _export_model(path: Path) -> None:
    text = path.read_text().replace("__all__ = [", '__all__ = [\n    "NewModel",', 1)
    path.write_text(text.replace("\nfrom", "\nfrom app.models.new_model import NewModel\nfrom", 1))


def _register_router(path: Path, *, inside: bool) -> None:
    text = path.read_text()
    if not inside:
        path.write_text(f"{text}\n{block('registration')}")
        return
    imported, included = block("registration").splitlines()
    text = text.replace("\nfrom", f"\n{imported}\nfrom", 1)
    path.write_text(text.replace("\n    return app\n", f"\n    {included}\n    return app\n", 1))
