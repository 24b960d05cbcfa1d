"""Plain resources with unusual responses, filters and routes, which the application lacks."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar
from uuid import UUID

import pytest
from fastapi import FastAPI, Request, Response
from pydantic import Field
from sqlalchemy import ColumnElement, delete, select, true

from examples.catalogue.db.session import Database
from examples.catalogue.models import Note, Order, OrderStatus
from examples.catalogue.repositories.note_repository import NoteRepository
from examples.catalogue.schemas.note_schemas import NoteCreate, NoteResponse
from examples.catalogue.schemas.order_schemas import (
    Number,
    Price,
    Quantity,
    Source,
)
from examples.catalogue.services.note_service import NoteService
from examples.catalogue.tests.api import Api
from examples.catalogue.tests.test_orders import BODY
from mscr.core.exceptions import ConflictError
from mscr.endpoints.owned_resource import ListPage, page_of, service_for_caller
from mscr.endpoints.requests import PublicId
from mscr.endpoints.resource_responder import resource_response
from mscr.http.responses import PageResponse, SuccessResponse, page_response
from mscr.http.routing import Router
from mscr.queries.filters import Filters
from mscr.queries.integrity import UniqueErrors
from mscr.queries.pagination import PageRequest
from mscr.repositories.owned_repository import OwnedRepository
from mscr.schemas.base import (
    Day,
    JsonObject,
    Moment,
    RequestSchema,
    ResponseSchema,
    TimeOfDay,
)
from mscr.schemas.list_schemas import ListQuery
from mscr.services.owned_service import OwnedService
from mscr.testing.problems import problem

SLIPS = "/api/v1/slips"
EXTRAS = "/api/v1/extras"


class SlipResponse(ResponseSchema):
    """An order without its public id and times."""

    number: str
    price: Price
    details: JsonObject
    status: OrderStatus
    deliver_after: TimeOfDay | None
    barcode: UUID | None
    source: Source | None
    sort_number: str


class SlipListQuery(ListQuery):
    status: OrderStatus | None = None
    public_id: Annotated[list[UUID], Field(max_length=9)] | None = None


def _other_than(status: OrderStatus) -> ColumnElement[bool]:
    return Order.status != status


class SlipNumberTakenError(ConflictError):
    code = "slip_number_taken"
    title = "Slip number taken"
    detail = "You have a slip with this number."


class SlipRepository(OwnedRepository[Order]):
    model = Order
    unique_errors: ClassVar[UniqueErrors] = {
        "uq_orders_owner_id_number_living": SlipNumberTakenError
    }
    filters: ClassVar[Filters] = {"status": _other_than}


class SlipCreate(RequestSchema):
    """An order without lines, which one statement inserts."""

    number: Number
    quantity: Quantity
    price: Price
    deliver_on: Day
    placed_at: Moment
    details: JsonObject
    deliver_after: TimeOfDay | None = None
    barcode: UUID | None = None
    source: Source | None = None


class SlipUpdate(RequestSchema):
    number: str


class SlipService(OwnedService[Order]):
    repository = SlipRepository
    response = SlipResponse


class HastyNoteService(OwnedService[Note]):
    repository = NoteRepository
    response = NoteResponse

    async def clear(self) -> Sequence[Note]:
        """Commit, but keep no response for the key."""
        notes = await self.repo.list(owner_id=self.caller.user_id)
        for note in notes:
            await self.repo.soft_delete(note)
        await self.repo.commit()
        return notes

    async def number(self) -> int:
        """Only read."""
        return await self.repo.count(owner_id=self.caller.user_id)


class BoardRepository(OwnedRepository[Note]):
    """Notes that everyone reads. Each text is there once."""

    model = Note

    def visible_to(self, viewer_id: Any) -> Sequence[ColumnElement[bool]]:
        return (true(),)

    async def create(self, **values: Any) -> Note:
        if await self.exists(text=values["text"]):
            raise ConflictError
        return await super().create(**values)


class BoardService(OwnedService[Note]):
    repository = BoardRepository
    response = NoteResponse


Board = Annotated[BoardService, service_for_caller(BoardService)]
Slips = Annotated[SlipService, service_for_caller(SlipService)]
SlipPage = Annotated[PageRequest, page_of(SlipListQuery)]
Notes = Annotated[NoteService, service_for_caller(NoteService)]
HastyNotes = Annotated[HastyNoteService, service_for_caller(HastyNoteService)]
router = Router()


@router.get("/slips")
async def list_slips(page: SlipPage, slips: Slips) -> PageResponse[SlipResponse]:
    """List orders."""
    return page_response(await slips.list(page), SlipResponse, page)


@router.post("/slips", status_code=201)
async def create_slip(data: SlipCreate, slips: Slips) -> SuccessResponse[SlipResponse]:
    """Place an order."""
    return resource_response(await slips.create(data), SlipResponse)


@router.patch("/slips/{public_id}")
async def update_slip(
    public_id: PublicId, data: SlipUpdate, slips: Slips
) -> SuccessResponse[SlipResponse]:
    """Change the number of an order."""
    return resource_response(await slips.update(public_id, data), SlipResponse)


@router.delete("/slips/{public_id}", status_code=204)
async def delete_slip(public_id: PublicId, slips: Slips) -> None:
    """Delete an order."""
    await slips.delete(public_id)


@router.post("/slips/{public_id}/restore")
async def restore_slip(public_id: PublicId, slips: Slips) -> SuccessResponse[SlipResponse]:
    """Restore an order."""
    return resource_response(await slips.restore(public_id), SlipResponse)


@router.get("/board")
async def list_board(page: ListPage, board: Board) -> PageResponse[NoteResponse]:
    """List the notes of all."""
    return page_response(await board.list(page), NoteResponse, page)


@router.get("/board/{public_id}")
async def get_from_board(public_id: PublicId, board: Board) -> SuccessResponse[NoteResponse]:
    """Get a note of any user."""
    return resource_response(await board.get(public_id), NoteResponse)


@router.post("/board", status_code=201)
async def add_to_board(data: NoteCreate, board: Board) -> SuccessResponse[NoteResponse]:
    """Add a note."""
    return resource_response(await board.create(data), NoteResponse)


@router.post("/extras/both")
async def create_both(data: NoteCreate, notes: Notes, hasty: HastyNotes) -> None:
    """Write by two services."""
    await notes.create(data)
    await hasty.create(data)


@router.post("/extras/clear", status_code=204)
async def clear_notes(notes: HastyNotes) -> None:
    """Delete all notes."""
    await notes.clear()


@router.post("/extras/number", status_code=204)
async def count_notes(notes: HastyNotes) -> None:
    """Count the notes."""
    await notes.number()


@router.post("/extras/{public_id}/restore")
async def restore_note(public_id: PublicId, notes: Notes) -> SuccessResponse[NoteResponse]:
    """Restore a note."""
    return resource_response(await notes.restore(public_id), NoteResponse)


@router.get("/extras/anonymous")
async def show_without_service() -> SuccessResponse[NoteResponse]:
    """Show a note on a route without a service."""
    return resource_response(Note(public_id="1"), NoteResponse)


@pytest.fixture
async def app(app: FastAPI) -> FastAPI:
    app.include_router(router, prefix="/api/v1")
    return app


@pytest.fixture
def faults(app: FastAPI) -> list[Exception]:
    """Return the exceptions of the application's own code, which clients see as 500."""
    found: list[Exception] = []

    async def note(_: Request, error: Exception) -> Response:
        found.append(error)
        raise error

    for kind in (LookupError, RuntimeError, TypeError):
        app.add_exception_handler(kind, note)
    return found


async def test_a_row_inserted_in_one_statement_equals_that_of_a_transaction(api: Api) -> None:
    owner = await api.register()
    further = {
        "deliver_after": "12:30:00",
        "barcode": "01890a5d-ac96-774b-bcce-b302099a8057",
        "source": "Shop",
    }

    at_once = await api.client.post(
        SLIPS, json=BODY | further | {"number": "a"}, headers=owner.headers
    )
    key = owner.headers | {"Idempotency-Key": "e7a9c1d2"}
    in_steps = await api.client.post(SLIPS, json=BODY | further | {"number": "b"}, headers=key)

    assert (at_once.status_code, in_steps.status_code) == (201, 201)
    shown = at_once.json()["data"]
    assert shown | further == shown
    assert (shown["sort_number"], shown["details"]) == ("A", BODY["details"])
    assert in_steps.json()["data"] == shown | {"number": "b", "sort_number": "B"}


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "e7a9c1d2"}])
async def test_a_new_duplicate_gets_the_error_of_its_index(
    api: Api, headers: dict[str, str]
) -> None:
    owner, other = await api.register(), await api.register()
    await api.client.post(SLIPS, json=BODY, headers=owner.headers)

    again = await api.client.post(SLIPS, json=BODY, headers=owner.headers | headers)
    others = await api.client.post(SLIPS, json=BODY, headers=other.headers | headers)

    problem(again, 409, "slip_number_taken")
    assert others.status_code == 201


async def test_a_change_and_a_restore_that_make_a_duplicate_get_the_error_of_its_index(
    api: Api,
) -> None:
    owner = await api.register()
    await api.client.post(SLIPS, json=BODY | {"number": "a"}, headers=owner.headers)
    second = BODY | {"number": "b"}
    path = (await api.client.post(SLIPS, json=second, headers=owner.headers)).headers["location"]

    changed = await api.client.patch(path, json={"number": "a"}, headers=owner.headers)
    await api.client.delete(path, headers=owner.headers)
    again = await api.client.post(SLIPS, json=second, headers=owner.headers)
    restored = await api.client.post(f"{path}/restore", headers=owner.headers)

    problem(changed, 409, "slip_number_taken")
    assert again.status_code == 201
    problem(restored, 409, "slip_number_taken")


async def test_a_duplicate_without_an_error_of_its_own_is_a_conflict(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SlipRepository, "unique_errors", {})
    owner = await api.register()
    await api.client.post(SLIPS, json=BODY, headers=owner.headers)

    again = await api.client.post(SLIPS, json=BODY, headers=owner.headers)

    problem(again, 409, "conflict")


def test_the_error_of_an_index_that_the_model_lacks_is_refused() -> None:
    with pytest.raises(TypeError, match="uq_orders_number_living"):

        class Misspelt(OwnedRepository[Order]):
            model = Order
            unique_errors: ClassVar[UniqueErrors] = {
                "uq_orders_number_living": SlipNumberTakenError
            }


async def test_a_response_without_a_public_id_has_a_location_and_cursors(api: Api) -> None:
    owner = await api.register()
    for number in ("a", "b", "c"):
        created = await api.client.post(
            SLIPS, json=BODY | {"number": number}, headers=owner.headers
        )
        assert created.headers["location"].startswith(f"{SLIPS}/0")

    query = {"limit": "2"}
    first = (await api.client.get(SLIPS, params=query, headers=owner.headers)).json()
    query["cursor"] = first["meta"]["next_cursor"]
    rest = (await api.client.get(SLIPS, params=query, headers=owner.headers)).json()

    found = [slip["number"] for slip in first["data"] + rest["data"]]
    assert found == ["c", "b", "a"]
    assert "public_id" not in first["data"][0]


async def test_a_filter_of_the_repository_replaces_that_of_an_enum_column(api: Api) -> None:
    owner = await api.register()
    await api.client.post(SLIPS, json=BODY, headers=owner.headers)

    for query, count in (("status=sent", 1), ("status=open", 0), ("status=sent&limit=5", 1)):
        response = await api.client.get(f"{SLIPS}?{query}", headers=owner.headers)
        assert len(response.json()["data"]) == count


async def test_a_filter_finds_the_rows_of_several_ids(api: Api) -> None:
    owner = await api.register()
    places = [
        (await api.client.post(SLIPS, json=BODY | {"number": n}, headers=owner.headers)).headers
        for n in ("a", "b", "c")
    ]
    ids = [each["location"].rpartition("/")[2] for each in places[:2]]

    response = await api.client.get(SLIPS, params={"public_id": ids}, headers=owner.headers)

    assert [slip["number"] for slip in response.json()["data"]] == ["b", "a"]


async def test_a_repeated_restore_gets_its_response_even_if_the_row_is_gone(
    api: Api, database: Database
) -> None:
    owner = await api.register()
    body = {"text": "Buy milk"}
    created = await api.client.post("/api/v1/notes", json=body, headers=owner.headers)
    path = created.headers["location"]
    await api.client.delete(path, headers=owner.headers)
    restore = f"{EXTRAS}/{created.json()['data']['public_id']}/restore"
    key = owner.headers | {"Idempotency-Key": "e7a9c1d2"}

    first = await api.client.post(restore, headers=key)
    async with database.sessions() as session:
        await session.execute(delete(Note))
        await session.commit()
    again = await api.client.post(restore, headers=key)

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content


@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "e7a9c1d2"}])
async def test_an_if_match_that_nothing_checks_refuses_the_write(
    api: Api, database: Database, key: dict[str, str]
) -> None:
    owner = await api.register()
    headers = owner.headers | key | {"If-Match": '"5bCEVDLdSbiDh1nzF4oDyw"'}

    refused = await api.client.post("/api/v1/notes", json={"text": "Buy milk"}, headers=headers)

    problem(refused, 412, "precondition_failed")
    async with database.read_sessions() as session:
        assert (await session.scalars(select(Note.id))).all() == []


async def test_an_if_none_match_that_nothing_checks_excludes_nothing(api: Api) -> None:
    owner = await api.register()
    headers = owner.headers | {"If-None-Match": '"5bCEVDLdSbiDh1nzF4oDyw"'}

    created = await api.client.post("/api/v1/notes", json={"text": "Buy milk"}, headers=headers)

    assert created.status_code == 201


async def test_a_post_that_keeps_no_response_for_a_key_fails_on_each_request(
    api: Api, faults: list[Exception]
) -> None:
    owner = await api.register()
    await api.client.post("/api/v1/notes", json={"text": "Buy milk"}, headers=owner.headers)

    read = await api.client.post(f"{EXTRAS}/number", headers=owner.headers)
    cleared = await api.client.post(f"{EXTRAS}/clear", headers=owner.headers)

    assert read.status_code == 204
    problem(cleared, 500, "internal_error")
    assert "HastyNoteService has committed without save() or finish()" in str(faults)


async def test_two_services_that_write_are_refused_on_one_route(
    api: Api, database: Database, faults: list[Exception]
) -> None:
    owner = await api.register()

    response = await api.client.post(
        f"{EXTRAS}/both", json={"text": "Buy milk"}, headers=owner.headers
    )

    problem(response, 500, "internal_error")
    assert "NoteService and HastyNoteService on one route" in str(faults)
    async with database.read_sessions() as session:
        assert (await session.scalars(select(Note.id))).all() == []


async def test_a_response_without_a_service_fails_after_a_request_that_had_one(
    api: Api, faults: list[Exception]
) -> None:
    owner = await api.register()
    await api.client.get("/api/v1/notes", headers=owner.headers)

    response = await api.client.get(f"{EXTRAS}/anonymous")

    problem(response, 500, "internal_error")
    assert "the route has no service" in str(faults)


async def test_rows_are_visible_to_all_if_visibility_does_not_depend_on_the_viewer(
    api: Api,
) -> None:
    owner, other = await api.register(), await api.register()
    path = "/api/v1/board"
    created = await api.client.post(path, json={"text": "Hello"}, headers=owner.headers)

    for query in ("", "?limit=5", "?page=2"):
        response = await api.client.get(f"{path}{query}", headers=other.headers)
        assert response.status_code == 200, response.text
    listed = await api.client.get(path, headers=other.headers)
    assert listed.json()["data"] == [created.json()["data"]]
    one = await api.client.get(created.headers["location"], headers=other.headers)
    assert one.json() == created.json()


async def test_an_overridden_create_is_not_bypassed(api: Api) -> None:
    owner = await api.register()
    body = {"text": "Hello"}
    await api.client.post("/api/v1/board", json=body, headers=owner.headers)

    again = await api.client.post("/api/v1/board", json=body, headers=owner.headers)

    problem(again, 409, "conflict")
