from typing import Annotated

from examples.catalogue.schemas.board_schemas import (
    BoardCreate,
    BoardResponse,
    BoardUpdate,
)
from examples.catalogue.services.board_service import BoardService
from mscr.endpoints.owned_resource import ListPage, service_for_caller
from mscr.endpoints.requests import PublicId
from mscr.endpoints.resource_responder import resource_response
from mscr.http.responses import PageResponse, SuccessResponse, page_response
from mscr.http.routing import Router

router = Router(prefix="/boards", tags=["Boards"])
Boards = Annotated[BoardService, service_for_caller(BoardService)]


@router.get("")
async def list_boards(page: ListPage, boards: Boards) -> PageResponse[BoardResponse]:
    """List the caller's boards, and those that the caller is a member of."""
    return page_response(await boards.list(page), BoardResponse, page)


@router.post("", status_code=201)
async def create_board(data: BoardCreate, boards: Boards) -> SuccessResponse[BoardResponse]:
    """Create a board."""
    return resource_response(await boards.create(data), BoardResponse)


@router.get("/{public_id}")
async def get_board(public_id: PublicId, boards: Boards) -> SuccessResponse[BoardResponse]:
    """Get a board (owner or member)."""
    return resource_response(await boards.get(public_id), BoardResponse)


@router.patch("/{public_id}")
async def update_board(
    public_id: PublicId, data: BoardUpdate, boards: Boards
) -> SuccessResponse[BoardResponse]:
    """Change a board (owner)."""
    return resource_response(await boards.update(public_id, data), BoardResponse)


@router.delete("/{public_id}", status_code=204)
async def delete_board(public_id: PublicId, boards: Boards) -> None:
    """Delete a board (owner)."""
    await boards.delete(public_id)


@router.put("/{public_id}/members/{user_public_id}")
async def add_member(
    public_id: PublicId, user_public_id: PublicId, boards: Boards
) -> SuccessResponse[BoardResponse]:
    """Let a user read a board (owner)."""
    return resource_response(await boards.add_member(public_id, user_public_id), BoardResponse)


@router.delete("/{public_id}/members/{user_public_id}", status_code=204)
async def remove_member(public_id: PublicId, user_public_id: PublicId, boards: Boards) -> None:
    """Remove a member from a board (owner)."""
    await boards.remove_member(public_id, user_public_id)
