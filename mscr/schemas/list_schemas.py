"""Query parameters and metadata of lists: `page` + `per_page`, or `cursor` + `limit`."""

from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from mscr.core.sort_order import RELEVANCE, sort_keys
from mscr.schemas.validation import InputModel

DEFAULT_PAGE_SIZE: Final = 20
MAX_PAGE_SIZE: Final = 100
# OFFSET costs as much as the rows it skips, and a total as much as the rows it counts. Page numbers
# and totals end here, and cursors continue: no list costs more with more rows.
MAX_NUMBERED_ROWS: Final = 10_000
# The same for a search, whose rows cost more: each is tested for the words, and may be ranked.
MAX_SEARCHED_ROWS: Final = 1_000

PageSize = Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE, examples=[DEFAULT_PAGE_SIZE])]


def sort_field(*columns: str, default: str = "-created_at") -> Any:
    """Return the `sort` field of a query, for these columns only."""
    column = f"-?({'|'.join(columns)})"
    return Field(
        default=default,
        pattern=f"^{column}(,{column})*$",
        max_length=100,
        description=f"Columns to sort by ({', '.join(columns)}); `-` for descending.",
    )


class ListQuery(InputModel):
    """Query parameters of a list. A resource adds its own `sort_field` and its filters.

    Each field of a subclass except `sort` is a filter, and the repository has a condition for it.
    """

    # The order of cursor pages when `sort` is by relevance, which cursors do not support.
    cursor_sort: ClassVar[str] = "-created_at"

    page: Annotated[int, Field(ge=1, le=MAX_NUMBERED_ROWS)] | None = Field(
        default=None,
        description="Page number, from 1. Not together with `cursor`. Pages end at row "
        f"{MAX_NUMBERED_ROWS:,}, those of a search (`q`) at row {MAX_SEARCHED_ROWS:,}, so `page` "
        f"times `per_page` (by default {DEFAULT_PAGE_SIZE}) must not exceed it; read further rows "
        "by `cursor`.",
        examples=[1],
    )
    per_page: PageSize | None = Field(default=None, description="Rows on a page.")
    cursor: Annotated[str, Field(max_length=2048)] | None = Field(
        default=None,
        description="`next_cursor` of the previous response; empty for the first page.",
        examples=[""],
    )
    limit: PageSize | None = Field(default=None, description="Rows in a cursor's page.")
    sort: str = sort_field("created_at")

    @model_validator(mode="after")
    def _one_way_of_paging(self) -> Self:
        by_page = self.page is not None or self.per_page is not None
        if by_page and self.by_cursor:
            raise PydanticCustomError(
                "paging_mixed", "Use page and per_page, or cursor and limit, not both"
            )
        if self.by_cursor and self.by_relevance:
            if "sort" in self.model_fields_set:
                raise PydanticCustomError(
                    "relevance_by_cursor", "Sorting by relevance supports pages, and no cursors"
                )
            self.sort = self.cursor_sort
        if self.by_relevance and self.filters().get("q") is None:
            raise PydanticCustomError(
                "relevance_without_search", "Sorting by relevance needs the words of a search (q)"
            )
        return self

    @property
    def by_cursor(self) -> bool:
        return self.cursor is not None or self.limit is not None

    @property
    def by_relevance(self) -> bool:
        return any(key.field == RELEVANCE for key in sort_keys(self.sort))

    def filters(self) -> dict[str, Any]:
        """Return all filters by name, with None for those that were not sent."""
        names = [name for name in type(self).model_fields if name not in ListQuery.model_fields]
        return {name: getattr(self, name) for name in names}

    def parameters(self) -> dict[str, Any]:
        """Return the parameters that were sent, without the place in the list."""
        sent = self.model_dump(mode="json", exclude_unset=True, exclude_none=True)
        return {name: value for name, value in sent.items() if name not in {"page", "cursor"}}


class OffsetQuery(InputModel):
    """Query parameters of a list whose contract dictates `limit` and `offset`: rows, not pages.

    Each field of a subclass is a filter. A full-text search needs a `ListQuery`.
    """

    limit: PageSize = Field(default=DEFAULT_PAGE_SIZE, description="Rows to return.")
    offset: Annotated[
        int, Field(ge=0, le=MAX_NUMBERED_ROWS - MAX_PAGE_SIZE, description="Rows to skip.")
    ] = 0

    def filters(self) -> dict[str, Any]:
        """Return all filters by name, with None for those that were not sent."""
        names = type(self).model_fields.keys() - OffsetQuery.model_fields.keys()
        return {name: getattr(self, name) for name in names}


class PageMeta(BaseModel):
    """Page number, page size and totals."""

    page: int = Field(examples=[1])
    per_page: int = Field(examples=[20])
    total: int = Field(
        le=MAX_NUMBERED_ROWS,
        description=f"Number of rows, counted up to {MAX_NUMBERED_ROWS:,}, or of a search (`q`) "
        f"up to {MAX_SEARCHED_ROWS:,}: see `total_relation`.",
        examples=[41],
    )
    total_relation: Literal["eq", "gte"] = Field(
        description="`eq`: the list has exactly `total` rows. `gte`: it has more than these.",
        examples=["eq"],
    )
    pages: int = Field(
        description="The last page that can be requested by its number; further rows have cursors.",
        examples=[3],
    )


class CursorMeta(BaseModel):
    """Place in the list: `next_cursor` is null on the last page."""

    limit: int = Field(examples=[20])
    next_cursor: str | None = Field(examples=["hARuR6hhTWMUedTRrwGUbFsieCIs"])
