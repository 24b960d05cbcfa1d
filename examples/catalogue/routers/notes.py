from typing import Annotated

from examples.catalogue.schemas.note_schemas import NoteCreate, NoteResponse, NoteUpdate
from examples.catalogue.services.note_service import NoteService
from mscr.endpoints.owned_resource import ListPage, service_for_caller
from mscr.endpoints.requests import PublicId
from mscr.endpoints.resource_responder import resource_response
from mscr.http.responses import PageResponse, SuccessResponse, page_response
from mscr.http.routing import Router

router = Router(prefix="/notes", tags=["Notes"])
Notes = Annotated[NoteService, service_for_caller(NoteService)]


@router.get("")
async def list_notes(page: ListPage, notes: Notes) -> PageResponse[NoteResponse]:
    """List the caller's notes."""
    return page_response(await notes.list(page), NoteResponse, page)


@router.post("", status_code=201)
async def create_note(data: NoteCreate, notes: Notes) -> SuccessResponse[NoteResponse]:
    """Create a note."""
    return resource_response(await notes.create(data), NoteResponse)


@router.get("/{public_id}")
async def get_note(public_id: PublicId, notes: Notes) -> SuccessResponse[NoteResponse]:
    """Get a note."""
    return resource_response(await notes.get(public_id), NoteResponse)


@router.patch("/{public_id}")
async def update_note(
    public_id: PublicId, data: NoteUpdate, notes: Notes
) -> SuccessResponse[NoteResponse]:
    """Change a note."""
    return resource_response(await notes.update(public_id, data), NoteResponse)


@router.delete("/{public_id}", status_code=204)
async def delete_note(public_id: PublicId, notes: Notes) -> None:
    """Delete a note."""
    await notes.delete(public_id)
