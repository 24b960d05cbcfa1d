"""docs/auth.md: its recipe for an encrypted column, and its commands for key rotation."""

import re
from pathlib import Path

import pytest

from app.core.config import PROJECT_ROOT
from tests.docs.markdown import code_blocks
from tests.docs.project_copy import ProjectCopy

BLOCKS = code_blocks(PROJECT_ROOT / "docs/auth.md")
BASH = [block.code for block in BLOCKS if block.language == "bash"]
# `tests/recipes/test_roles.py` runs the others.
COMMANDS = [code for code in BASH if "alembic" not in code]
TARGET = re.compile(r"# (app/[\w/]+\.py)\n")
FILES = [found for block in BLOCKS if (found := TARGET.match(block.code))]

MIGRATE = """
alembic upgrade head
alembic revision --autogenerate -m "Add devices"
alembic upgrade head
"""
# Calls the service of the recipe as a router would.
USE = """
import asyncio, sys
from app.core.config import get_settings
from mscr.core.security.encryption import EncryptionService
from app.db.session import AsyncSessionLocal
from app.models import Device
from app.repositories.base import BaseRepository
from app.services.device_service import DeviceService

async def main():
    async with AsyncSessionLocal() as session:
        devices = BaseRepository(Device, session)
        encryption = EncryptionService.from_settings(get_settings())
        service = DeviceService(devices, encryption=encryption)
        if sys.argv[1] == "add":
            await service.add("JBSWY3DPEHPK3PXP")
        for device in await devices.list():
            print(service.reveal(device))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    """Return a copy of the project in which the recipe was followed and a device was added."""
    copy = ProjectCopy(tmp_path_factory.mktemp("guide") / "project", PROJECT_ROOT)
    copy.run("python cli.py generate-keys --algorithm EdDSA > .env")
    for target in FILES:
        (copy.path / target[1]).write_text(target.string[target.end() :])
    _export(copy.path / "app/models/__init__.py")
    (copy.path / "use.py").write_text(USE)
    copy.run(MIGRATE)
    assert copy.run("python use.py add").splitlines()[-1] == "JBSWY3DPEHPK3PXP"
    return copy


def _export(models: Path) -> None:
    line = "from app.models.device import Device\n"
    following = "from app.models.idempotency_key"
    text = models.read_text().replace(following, f"{line}{following}", 1)
    text = text.replace('    "IdempotencyKey",', '    "Device",\n    "IdempotencyKey",', 1)
    models.write_text(text)


def test_every_block_has_an_expected_language() -> None:
    assert {block.language for block in BLOCKS} == {"python", "bash", "text"}
    assert len(FILES) == 2


def test_the_recipe_passes_the_checks_and_its_migration_stands_alone(project: ProjectCopy) -> None:
    project.run("ruff check app && lint-imports --no-logo && python cli.py check-migrations")

    [migration] = project.path.glob("migrations/versions/*add_devices.py")
    assert 'sa.Column("secret", sa.Text(), nullable=False)' in migration.read_text()


def test_a_secret_key_is_rotated_by_the_commands_of_the_guide(project: ProjectCopy) -> None:
    """DR2: with the settings of the guide's table, until every row has the new key."""
    env_file = project.path / ".env"
    old = env_file.read_text()
    [old_key] = re.findall(r"^SECRET_KEY=(.+)$", old, re.MULTILINE)
    new_key = "0123456789abcdef" * 4

    changed = old.replace(f"\nSECRET_KEY={old_key}", "").replace(f"SECRET_KEY={old_key}", "", 1)
    env_file.write_text(f"{changed}SECRET_KEY={new_key}\nSECRET_KEY_PREVIOUS={old_key}\n")
    output = project.run("".join(COMMANDS))
    env_file.write_text(f"{changed}SECRET_KEY={new_key}\n")

    assert "devices.secret: 1 re-encrypted" in output
    assert project.run("python use.py show").splitlines()[-1] == "JBSWY3DPEHPK3PXP"
