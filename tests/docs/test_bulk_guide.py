"""docs/bulk.md: its resource of one's own is made, changed and exported."""

import asyncio
import csv
import json
import os
import re
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from app.core.bulk import BulkResult, RowLedger
from app.core.config import PROJECT_ROOT
from app.core.idempotency import StoredResponse
from app.db.session import Database
from app.models import Item
from app.repositories.idempotency_key_repository import IdempotencyKeyRepository
from app.schemas.bulk_schemas import BulkRequest
from app.services.idempotency_service import IdempotencyService
from tests.support.api import Api
from tests.support.databases import on_sqlite
from tests.support.markdown import code_blocks
from tests.support.processes import app_processes

ALL_BLOCKS = code_blocks(PROJECT_ROOT / "docs/bulk.md")
[FILE] = [block.code for block in ALL_BLOCKS if block.language == "text"]
REQUESTS = "".join(block.code for block in ALL_BLOCKS if block.language == "bash")
BLOCKS = [block for block in ALL_BLOCKS if block.language == "python"]
# What the recipe's files would import. A book of theirs is an item of ours.
IMPORTS = """
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

from sqlalchemy import select

from app.core.bulk import BulkResult, RowLedger
from app.core.exports import ExportQuery, begun
from app.core.pagination import PageRequest
from app.models import Item as Book
from app.repositories.bulk_repository import BulkRepository
from app.repositories.item_repository import FILTERS
from app.repositories.item_view import SORTABLE
from app.repositories.unit_of_work import retried
from app.schemas.bulk_schemas import BulkRequest, RowTarget
from app.schemas.item_schemas import ItemFilters as BookFilters, ItemUpdate as BookUpdate
from app.services.bulk_service import BulkService
from app.services.idempotency_service import IdempotencyService
"""
# Its types are checked by test_agents.py, together with those of other pages.
RECIPE = "\n".join([IMPORTS, *(block.code for block in BLOCKS)])


def test_every_block_is_known() -> None:
    assert {block.language for block in ALL_BLOCKS} == {"text", "bash", "python"}


@on_sqlite
async def test_the_requests_work_as_pasted(api: Api, database_url: str, tmp_path: Path) -> None:
    token = (await api.register()).access_token
    (tmp_path / "items.csv").write_text(FILE)
    with app_processes(1, database_url) as [process]:
        # curl asks the test's own server, whatever host and port are named.
        (tmp_path / ".curlrc").write_text(f'unix-socket = "{process.socket}"\n')
        done = await asyncio.to_thread(
            subprocess.run,
            ["bash", "-euo", "pipefail", "-c", REQUESTS],
            cwd=tmp_path,
            env=os.environ | {"TOKEN": token, "CURL_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )

    created, checked = [json.loads(line)["data"] for line in done.stdout.splitlines()]
    assert [row["status"] for row in created["rows"]] == [201, 201]
    assert checked == {"rows": 2, "dry_run": True}
    exported = csv.DictReader((tmp_path / "export.csv").read_text().splitlines())
    assert {row["title"] for row in exported} == {"Buy milk", "Buy bread"}


def request_of(row: Any) -> Any:
    return BulkRequest[row]


def unasked(_: Any) -> StoredResponse:
    raise AssertionError("there is no key for which an answer is kept")


@on_sqlite
async def test_the_recipe_changes_and_exports_the_owner_s_rows(
    api: Api, database: Database
) -> None:
    owner, other = await api.register(), await api.register()
    mine = await api.create_item(owner, title="Ada")
    theirs = await api.create_item(other, title="Bob")
    assert all(re.match(r"# app/\w+/book_\w+\.py\n", block.code) for block in BLOCKS)
    made: dict[str, Any] = {"__name__": "recipe"}
    exec(RECIPE, made)  # noqa: S102  # our own page
    # The search is its repository's own.
    made["FILTERS"] = {**made["FILTERS"], "q": lambda _: True}

    async with database.sessions() as session:
        keys = select(Item.owner_id).where(Item.public_id == mine["public_id"])
        owner_id = await session.scalar(keys)
    rows = [{"public_id": each["public_id"], "title": "New"} for each in (mine, theirs)]
    async with database.sessions() as session:
        service = made["BookService"](made["BookRepository"](Item, session))
        result: BulkResult = await service.update_many(
            request_of(made["BookUpdateRow"]).model_validate({"rows": rows}),
            owner_id,
            RowLedger(request_id="request", tag_of=lambda item: f'"{item.version}"'),
            IdempotencyService(
                IdempotencyKeyRepository(session), None, render=unasked, lifetime=timedelta(1)
            ),
        )
        batches = await service.export(made["BookExportQuery"](title_prefix="N"), owner_id)
        exported = [row.title async for batch in batches for row in batch]

    assert [(row.status, row.etag) for row in result.rows] == [(200, '"2"'), (404, None)]
    assert exported == ["New"]
