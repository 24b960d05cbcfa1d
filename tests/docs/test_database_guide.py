"""docs/database.md: its code works as described and passes the linter."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import func, select

from app.core.config import PROJECT_ROOT
from examples.catalogue.db.session import Database
from examples.catalogue.models import Item, User
from examples.catalogue.repositories.item_repository import ItemRepository
from examples.catalogue.repositories.user_repository import UserRepository
from examples.catalogue.tests.api import Api
from examples.catalogue.tests.conftest import api_type, tested_project
from mscr.testing.api import PASSWORD
from mscr.testing.processes import free_port
from tests.docs.markdown import code_blocks
from tests.docs.project_copy import ProjectCopy, interrupt, wait_until_it_answers

# The code runs on the catalogue.
__all__ = ["api_type", "tested_project"]

BLOCKS = code_blocks(PROJECT_ROOT / "docs/database.md")
[HANDOVER] = [block.code for block in BLOCKS if "handover_service.py" in block.code]


def test_every_block_has_an_expected_language() -> None:
    assert {block.language for block in BLOCKS} == {"bash", "python", "text"}


def test_the_application_runs_on_the_borrowed_postgresql_until_it_is_stopped(
    tmp_path: Path,
) -> None:
    copy = ProjectCopy(tmp_path / "project", PROJECT_ROOT)
    [command] = [block.code.strip() for block in BLOCKS if block.language == "bash"]
    port = free_port()
    process = copy.start(f"exec {command} PORT={port}")
    try:
        wait_until_it_answers(process, port)
        body = {"email": "ada@example.com", "password": PASSWORD}
        url = f"http://127.0.0.1:{port}/api/v1/auth/register"
        registered = httpx2.post(url, json=body, trust_env=False)
    finally:
        output = interrupt(process)

    assert registered.status_code == 201
    [directory] = re.findall(r"export DATABASE_URL='postgresql.*[?]host=(.*)&", output)
    assert not Path(directory).exists()
    assert not (copy.path / "app.db").exists()


def test_the_code_passes_the_linter() -> None:
    for arguments in (["check"], ["format", "--check"]):
        command = [
            sys.executable,
            "-m",
            "ruff",
            *arguments,
            "--stdin-filename=examples/catalogue/x.py",
            "-",
        ]
        done = subprocess.run(  # our own linter
            command, input=HANDOVER, capture_output=True, text=True, check=False, cwd=PROJECT_ROOT
        )
        assert done.returncode == 0, done.stdout + done.stderr


async def test_the_handover_changes_the_owner_of_all_items(api: Api, database: Database) -> None:
    giver, _ = await api.register(), await api.register()
    for _ in range(2):
        await api.create_item(giver)
    names: dict[str, Any] = {}
    exec(HANDOVER, names)  # noqa: S102  # the page's own code

    async with database.sessions() as session:
        ids = (await session.scalars(select(User.id).order_by(User.id))).all()
        await session.rollback()
        service = names["HandoverService"](UserRepository(session), ItemRepository(session))
        assert await service.hand_over(*ids) == 2

    async with database.read_sessions() as session:
        owners = select(Item.owner_id, func.count()).group_by(Item.owner_id)
        assert [tuple(row) for row in await session.execute(owners)] == [(ids[1], 2)]
