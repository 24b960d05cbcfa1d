"""Dependencies and the response of bulk routes: the ledger of rows, and the idempotency key."""

from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel, Field

from mscr.core.exceptions import RowsRefusedError
from mscr.endpoints.idempotency import idempotency_of
from mscr.endpoints.request_options import RequestOptions, refuse_repeated
from mscr.endpoints.requests import collaborators_of
from mscr.endpoints.resource_responder import ResourceResponder
from mscr.http.openapi import problem_responses
from mscr.http.problems import request_id_of
from mscr.http.representation import represent
from mscr.http.responses import SuccessResponse
from mscr.schemas.bulk_schemas import BulkResponse
from mscr.services.idempotency_service import IdempotencyService
from mscr.services.rows import BulkResult, RowLedger

BulkIdempotency = Annotated[IdempotencyService, idempotency_of(BulkResponse)]
# `responses=` of a bulk route.
BULK = problem_responses(RowsRefusedError)


class BulkOptions(RequestOptions):
    atomic: bool = Field(
        default=False,
        description="All or nothing: if a row is refused, nothing is written, and the response is "
        "its error.",
    )


class BulkReport(ResourceResponder):
    """The response to one bulk request."""

    def report(self, result: BulkResult) -> SuccessResponse[BulkResponse]:
        """Return the results in the envelope: 200, even if rows were refused."""
        return self._send(represent(self._request, result, BulkResponse), BulkResponse)


async def get_report(request: Request, response: Response) -> BulkReport:
    return BulkReport(request, response)


BulkResponder = Annotated[BulkReport, Depends(get_report)]


def ledger_of(schema: type[BaseModel]) -> Any:
    """Annotate the `RowLedger` of a bulk request for objects of this response schema.

    Usage: `ItemLedger = Annotated[RowLedger, ledger_of(ItemResponse)]`.
    """

    async def get_ledger(request: Request, options: Annotated[BulkOptions, Query()]) -> RowLedger:
        refuse_repeated(request)
        return RowLedger(
            request_id=request_id_of(request),
            schema=schema,
            atomic=options.atomic,
            if_match_required=collaborators_of(request).settings.REQUIRE_IF_MATCH,
        )

    return Depends(get_ledger)
