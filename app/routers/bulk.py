"""What the routes of many rows have in common: the ledger of a request, and its key."""

from typing import Annotated, Any

from fastapi import Depends, Query, Request
from pydantic import BaseModel, Field

from app.core.bulk import BulkResult, RowLedger
from app.core.dependencies import collaborators_of
from app.core.exceptions import RowsRefusedError
from app.core.openapi import problem_responses
from app.core.preconditions import Versioned, entity_tag
from app.core.problems import request_id_of
from app.core.responses import SuccessResponse, success_response
from app.routers.idempotency import idempotency_of
from app.routers.request_options import RequestOptions, refuse_repeated
from app.schemas.bulk_schemas import BulkResponse
from app.services.idempotency_service import IdempotencyService

BulkIdempotency = Annotated[IdempotencyService, idempotency_of(BulkResponse)]
# `responses=` of a route of many rows.
BULK = problem_responses(RowsRefusedError)


class BulkOptions(RequestOptions):
    atomic: bool = Field(
        default=False,
        description="All or nothing: if a row cannot be done, none is, "
        "and the answer is its error.",
    )


def bulk_response(result: BulkResult) -> SuccessResponse[BulkResponse]:
    """The results in the envelope: 200, whatever they are."""
    return success_response(BulkResponse.model_validate(result))


def ledger_of(schema: type[BaseModel]) -> Any:
    """Annotates the `RowLedger` of a request for many objects that `schema` shows.

    Its use: `ItemLedger = Annotated[RowLedger, ledger_of(ItemResponse)]`.
    """

    def tag_of(entity: Versioned) -> str:
        return entity_tag(entity, schema.model_validate(entity))

    async def get_ledger(request: Request, options: Annotated[BulkOptions, Query()]) -> RowLedger:
        refuse_repeated(request)
        return RowLedger(
            request_id=request_id_of(request),
            tag_of=tag_of,
            atomic=options.atomic,
            if_match_required=collaborators_of(request).settings.REQUIRE_IF_MATCH,
        )

    return Depends(get_ledger)
