"""A whole list at once: read in batches, each by a short query, and sent as it is read.

Between the batches no connection is held. So a client that reads slowly, or not at all, keeps
nothing from others, no timeout of the database ends a long export, and nothing is held up that
waits for old transactions to end.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Final, TypeVar

from pydantic import Field

from app.core.pagination import PageRequest, sort_field, sort_keys
from app.core.row_format import RowFormat
from app.core.validation import InputModel

T = TypeVar("T")

# Rows in memory at a time: the longest are some 20 kB each.
BATCH_SIZE: Final = 500


class ExportQuery(InputModel):
    """Query parameters of an export. A resource adds the filters of its list.

    Only by columns that never change: a row that changes its place could be there twice, or not
    at all.
    """

    sort: str = sort_field("created_at")
    format: RowFormat | None = Field(
        None, description="Goes before the Accept header; by default, NDJSON."
    )

    def page_request(self) -> PageRequest:
        """For the first batch."""
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
    """The same, with the first batch read: if that fails, it can still be answered as an error."""
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
