"""docs/database.md: its code does what the page says, and passes the linter."""

import subprocess
import sys
from typing import Any

from sqlalchemy import func, select

from app.core.config import PROJECT_ROOT
from app.db.session import Database
from app.models import Item, User
from app.repositories.item_repository import ItemRepository
from app.repositories.user_repository import UserRepository
from tests.support.api import Api
from tests.support.markdown import code_blocks

BLOCKS = code_blocks(PROJECT_ROOT / "docs/database.md")
[HANDOVER] = [block.code for block in BLOCKS if "handover_service.py" in block.code]


def test_every_block_is_known() -> None:
    assert {block.language for block in BLOCKS} == {"python"}


def test_the_code_passes_the_linter() -> None:
    for arguments in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *arguments, "--stdin-filename=app/x.py", "-"]
        done = subprocess.run(  # noqa: S603  # our own linter
            command, input=HANDOVER, capture_output=True, text=True, check=False, cwd=PROJECT_ROOT
        )
        assert done.returncode == 0, done.stdout + done.stderr


async def test_the_handover_changes_all_items_at_once(api: Api, database: Database) -> None:
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
