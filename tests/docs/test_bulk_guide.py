"""docs/bulk.md: its resource of one's own is made, changed and exported."""

import re
from datetime import timedelta
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

[FILE, *BLOCKS] = code_blocks(PROJECT_ROOT / "docs/bulk.md")
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
from app.repositories.item_repository import FILTERS, SORTABLE
from app.repositories.unit_of_work import retried
from app.schemas.bulk_schemas import BulkRequest, RowTarget
from app.schemas.item_schemas import ItemFilters as BookFilters, ItemUpdate as BookUpdate
from app.services.bulk_service import BulkService
from app.services.idempotency_service import IdempotencyService
"""
# Its types are checked by test_agents.py, together with those of other pages.
RECIPE = "\n".join([IMPORTS, *(block.code for block in BLOCKS)])


@on_sqlite
async def test_the_example_of_a_file_is_imported(api: Api) -> None:
    headers = (await api.register()).headers | {"Content-Type": "text/csv"}
    response = await api.client.post("/api/v1/items/import", content=FILE.code, headers=headers)
    assert response.json()["data"]["rows"] == 2


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
