"""Search in a plain resource: the same results as from the catalogue's own queries of items."""

from collections.abc import Sequence
from typing import Annotated, Any

import pytest
from fastapi import FastAPI
from pydantic import Field
from sqlalchemy import ColumnElement, text, true

from examples.catalogue.db.session import Database
from examples.catalogue.models import Item, ItemStatus
from examples.catalogue.schemas.item_schemas import TitlePrefix
from examples.catalogue.tests.api import Api
from mscr.core.sort_order import RELEVANCE, sort_keys
from mscr.endpoints.owned_resource import page_of, service_for_caller
from mscr.http.responses import PageResponse, page_response
from mscr.http.routing import Router
from mscr.queries.owned_queries import OwnedQueries
from mscr.queries.pagination import PageRequest
from mscr.repositories.owned_repository import OwnedRepository
from mscr.schemas.base import PublicResource, SearchText
from mscr.schemas.list_schemas import MAX_SEARCHED_ROWS, ListQuery, sort_field
from mscr.services.owned_service import OwnedService
from mscr.testing.api import Account
from mscr.testing.problems import faulty_fields, problem
from mscr.testing.walking import fetch, titles, walk

ITEMS = "/api/v1/items"
FINDS = "/api/v1/finds"
HOLDINGS = "/api/v1/holdings"
UNINDEXED = "/api/v1/unindexed"


class FindListQuery(ListQuery):
    sort: str = sort_field(RELEVANCE, "created_at", "updated_at", "title")
    status: Annotated[list[ItemStatus], Field(min_length=1, max_length=3)] | None = None
    title_prefix: TitlePrefix | None = None
    q: SearchText | None = None


class FindResponse(PublicResource):
    title: str


class FindRepository(OwnedRepository[Item]):
    """Items as a plain resource, with the visibility of the catalogue's own."""

    model = Item
    searched = True

    def visible_to(self, viewer_id: Any) -> Sequence[ColumnElement[bool]]:
        return Item.status == ItemStatus.ACTIVE, Item.owner_id == viewer_id


class HoldingRepository(OwnedRepository[Item]):
    """Items that are visible to their owners only."""

    model = Item
    searched = True


class UnindexedRepository(OwnedRepository[Item]):
    """Items without the declaration that they have an index."""

    model = Item


class FindService(OwnedService[Item]):
    repository = FindRepository
    response = FindResponse


class HoldingService(OwnedService[Item]):
    repository = HoldingRepository
    response = FindResponse


class UnindexedService(OwnedService[Item]):
    repository = UnindexedRepository
    response = FindResponse


FindPage = Annotated[PageRequest, page_of(FindListQuery)]
router = Router()


@router.get("/finds")
async def list_finds(
    page: FindPage, finds: Annotated[FindService, service_for_caller(FindService)]
) -> PageResponse[FindResponse]:
    """List visible items."""
    return page_response(await finds.list(page), FindResponse, page)


@router.get("/finds/my")
async def list_my_finds(
    page: FindPage, finds: Annotated[FindService, service_for_caller(FindService)]
) -> PageResponse[FindResponse]:
    """List the caller's items."""
    return page_response(await finds.list_own(page), FindResponse, page)


@router.get("/holdings")
async def list_holdings(
    page: FindPage, holdings: Annotated[HoldingService, service_for_caller(HoldingService)]
) -> PageResponse[FindResponse]:
    """List the caller's items."""
    return page_response(await holdings.list(page), FindResponse, page)


@router.get("/unindexed")
async def list_unindexed(
    page: FindPage, items: Annotated[UnindexedService, service_for_caller(UnindexedService)]
) -> PageResponse[FindResponse]:
    """List the caller's items."""
    return page_response(await items.list(page), FindResponse, page)


@pytest.fixture
async def app(app: FastAPI) -> FastAPI:
    app.include_router(router, prefix="/api/v1")
    return app


@pytest.fixture
async def reader(api: Api) -> Account:
    """Register an account that sees a few items that match `milk`, in different degrees."""
    reader, other = await api.register(), await api.register()
    for owner, status in ((other, "active"), (other, "draft"), (reader, "draft")):
        for title, description in (
            ("Shopping", "bread, and milk of oats"),
            ("Milk", "bread"),
            ("milk and milk", "bread"),
            ("Nothing", "of the kind"),
        ):
            named = f"{title} ({status} of {'reader' if owner is reader else 'other'})"
            await api.create_item(owner, title=named, description=description, status=status)
    return reader


# The last of them has no prepared statement.
FILTERS: list[dict[str, str]] = [{}, {"status": "active"}, {"title_prefix": "M"}]
SEARCHES: list[dict[str, Any]] = [
    {"q": "milk"},
    {"q": "mil", "sort": "title"},
    {"q": "milk bread", "per_page": 1, "page": 2},
    {"q": "milk bread", "limit": 1},
    {"q": "other"},
    {"q": "!"},
]


async def test_a_plain_resource_finds_what_the_catalogue_finds(api: Api, reader: Account) -> None:
    lists = ((FINDS, ITEMS), (f"{FINDS}/my", f"{ITEMS}/my"), (HOLDINGS, f"{ITEMS}/my"))
    for query in ({**search, **further} for search in SEARCHES for further in FILTERS):
        for plain, rich in lists:
            found = await fetch(api, reader, plain, **query)
            expected = await fetch(api, reader, rich, **query)

            assert titles(found) == titles(expected), (plain, query)
            assert found["meta"].get("total") == expected["meta"].get("total"), (plain, query)


@pytest.mark.parametrize("sort", ["-relevance", "relevance", "-relevance,title"])
async def test_the_order_by_relevance_is_that_of_the_catalogue(
    api: Api, reader: Account, sort: str
) -> None:
    for further in FILTERS:
        query = {"q": "milk", "sort": sort, **further}
        found = await fetch(api, reader, FINDS, **query)

        assert len(found["data"]) > 1
        assert titles(found) == titles(await fetch(api, reader, f"{ITEMS}/search", **query))


async def test_the_best_matches_of_the_callers_own_rows_come_first(
    api: Api, reader: Account
) -> None:
    ranked = [f"{title} (draft of reader)" for title in ("milk and milk", "Milk", "Shopping")]
    for path in (f"{FINDS}/my", HOLDINGS):
        found = await fetch(api, reader, path, q="milk", sort="-relevance")
        assert (titles(found), found["meta"]["total"]) == (ranked, 3)


async def test_a_search_by_cursor_reads_all_matches_newest_first(api: Api, reader: Account) -> None:
    query = {"q": "milk bread"}
    for path, count in ((FINDS, 6), (HOLDINGS, 3)):
        rows = await walk(api, reader, path, limit=2, **query)
        at_once = await fetch(api, reader, path, **query)
        assert rows == at_once["data"]
        assert len(rows) == count


async def test_an_order_by_relevance_without_words_is_refused(api: Api, reader: Account) -> None:
    query = {"sort": "-relevance"}
    response = await api.client.get(FINDS, params=query, headers=reader.headers)

    assert faulty_fields(response) == [["query"]]
    assert response.json()["errors"][0]["type"] == "relevance_without_search"


async def test_a_search_weighs_a_bounded_number_of_candidates(
    api: Api, reader: Account, database: Database
) -> None:
    async with database.engine.begin() as connection:
        for number in range(MAX_SEARCHED_ROWS + 1):
            await connection.execute(
                text(
                    "INSERT INTO items (public_id, title, status, owner_id, created_at, updated_at,"
                    " version, is_deleted) SELECT :public_id, 'Thing', 'active', owner_id,"
                    " created_at, updated_at, 1, is_deleted FROM items ORDER BY id LIMIT 1"
                ),
                {"public_id": f"01890a5d-ac96-774b-bcce-{number:012}"},
            )
    for further in ({}, {"title_prefix": "T"}):
        for sort in ("-relevance", "-created_at"):
            query = {"q": "thing", "sort": sort, **further}
            meta = (await fetch(api, reader, FINDS, page=50, **query))["meta"]
            assert (meta["total"], meta["total_relation"]) == (MAX_SEARCHED_ROWS, "gte")


async def test_a_search_of_a_table_without_an_index_is_a_fault_of_the_application(
    api: Api, reader: Account
) -> None:
    for query in ({}, {"q": "milk"}):
        response = await api.client.get(UNINDEXED, params=query, headers=reader.headers)
        problem(response, 500, "internal_error")


@pytest.mark.parametrize("searched", [True, False])
def test_pages_by_relevance_are_prepared_for_tables_with_an_index(searched: bool) -> None:  # a case
    queries = OwnedQueries(Item, ("title",), {}, lambda _: (true(),), {}, searched=searched)
    request = PageRequest(
        size=20, sort=sort_keys("-relevance"), page=1, after=None, scope="", filters={"q": "milk"}
    )

    assert queries.visible_pages.is_prepared_for(request) is searched
    assert queries.is_prepared("relevance") is searched
