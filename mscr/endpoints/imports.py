"""Dependencies and the response of routes that import a file of rows."""

import asyncio
from collections.abc import Collection
from typing import Annotated, Any, Final

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel, Field

from mscr.core.exceptions import UnsupportedMediaTypeError
from mscr.endpoints.exports import file_content
from mscr.endpoints.idempotency import idempotency_of
from mscr.endpoints.import_rows import FileRefusedError, read_rows
from mscr.endpoints.request_options import RequestOptions, refuse_repeated
from mscr.endpoints.resource_responder import ResourceResponder
from mscr.endpoints.row_format import RowFormat
from mscr.http.media_types import text_media_type
from mscr.http.openapi import Responses, problem_responses
from mscr.http.representation import represent
from mscr.http.responses import SuccessResponse
from mscr.schemas.bulk_schemas import ImportResponse
from mscr.services.idempotency_service import IdempotencyService
from mscr.services.rows import ImportResult

ImportIdempotency = Annotated[IdempotencyService, idempotency_of(ImportResponse)]
# `responses=` of an import route.
IMPORT: Final[Responses] = {
    200: {
        "model": SuccessResponse[ImportResponse],
        "description": "A dry run: all lines are valid",
    },
    **problem_responses(UnsupportedMediaTypeError, FileRefusedError),
}


class ImportOptions(RequestOptions):
    dry_run: bool = Field(default=False, description="Validate the file and write nothing: 200.")


class ImportReport(ResourceResponder):
    """The response to one import."""

    def __init__(self, request: Request, response: Response, *, dry_run: bool) -> None:
        super().__init__(request, response)
        self.dry_run = dry_run

    def report(self, result: ImportResult) -> SuccessResponse[ImportResponse]:
        if self.dry_run:
            self._response.status_code = 200
        return self._send(represent(self._request, result, ImportResponse), ImportResponse)


async def get_report(
    request: Request, response: Response, options: Annotated[ImportOptions, Query()]
) -> ImportReport:
    refuse_repeated(request)
    return ImportReport(request, response, dry_run=options.dry_run)


ImportResponder = Annotated[ImportReport, Depends(get_report)]


def rows_of(
    schema: type[BaseModel],
    *,
    ignoring: type[BaseModel],
    formats: Collection[RowFormat] = tuple(RowFormat),
) -> Any:
    """Annotate the rows of the file in the body, each validated by `schema`.

    Declare this after the caller; otherwise files of anonymous clients are read. The `Content-Type`
    names the format: one of `formats`, else 415. Columns that only `ignoring` has are accepted and
    dropped.

    Usage: `ItemRows = Annotated[list[ItemCreate], rows_of(ItemCreate, ignoring=ItemResponse)]`.
    """

    async def get_rows(request: Request) -> list[BaseModel]:
        row_format = _format_of(request.headers.get("content-type", ""), formats)
        content = await request.body()
        ignored = ignoring.model_fields
        return await asyncio.to_thread(read_rows, content, row_format, schema, ignoring=ignored)

    return Depends(get_rows)


def _format_of(content_type: str, formats: Collection[RowFormat]) -> RowFormat:
    media_type = text_media_type(content_type)
    for row_format in formats:
        if media_type == row_format.media_type:
            return row_format
    known = " or ".join(row_format.media_type for row_format in formats)
    raise UnsupportedMediaTypeError(f"Send {known}, in UTF-8.")


def import_body(example: BaseModel, row_format: RowFormat) -> dict[str, Any]:
    """Return the `openapi_extra=` of a route that imports rows like this one.

    One format a route: a generated client sends one media type per operation. `binary` keeps
    generated clients from encoding the file as JSON.
    """
    media_type = row_format.media_type
    media = file_content(example)[media_type]
    content = {media_type: {"schema": media["schema"] | {"format": "binary"}}}
    return {"requestBody": {"required": True, "content": content}}
