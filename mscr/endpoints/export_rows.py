"""The query and the batches of an export: a whole list, sent while it is read.

Each batch is read by a short query, and no connection is held between batches. Therefore a client
that reads slowly, or not at all, blocks nobody else, no database timeout ends a long export, and
no old transaction holds up others.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Final, TypeVar

from pydantic import Field

from mscr.core.sort_order import sort_keys
from mscr.endpoints.row_format import RowFormat
from mscr.queries.pagination import PageRequest
from mscr.schemas.list_schemas import sort_field
from mscr.schemas.validation import InputModel

T = TypeVar("T")

# Rows in memory at a time: the longest are some 20 kB each.
BATCH_SIZE: Final = 500


class ExportQuery(InputModel):
    """Query parameters of an export. A resource adds the filters of its list.

    It sorts only by columns that never change: a row that moves during the export could appear
    twice, or not at all.
    """

    sort: str = sort_field("created_at")
    format: RowFormat | None = Field(
        default=None, description="Takes precedence over the Accept header. Default: NDJSON."
    )

    def page_request(self) -> PageRequest:
        """Return the request for the first batch."""
        names = type(self).model_fields.keys() - ExportQuery.model_fields.keys()
        return PageRequest(
            size=BATCH_SIZE,
            sort=sort_keys(self.sort),
            page=None,
            after=None,
            scope="",
            filters={name: getattr(self, name) for name in names},
        )


async def begun(batches: AsyncGenerator[Sequence[T], None]) -> AsyncIterator[Sequence[T]]:
    """Read the first batch early, so that its failure still gets an error response."""
    first: list[Sequence[T]] = []
    async for batch in batches:
        first.append(batch)
        break

    async def all_of_them() -> AsyncGenerator[Sequence[T], None]:
        for batch in first:
            yield batch
        first.clear()
        async for batch in batches:
            yield batch

    return all_of_them()
