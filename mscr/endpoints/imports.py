"""Routes that take a file of rows."""

import asyncio
from collections.abc import Collection
from typing import Annotated, Any, Final

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel, Field

from app.core.bulk import ImportResult
from app.core.exceptions import UnsupportedMediaTypeError
from app.core.imports import FileRefusedError, read_rows
from app.core.media_types import text_media_type
from app.core.openapi import Responses, problem_responses
from app.core.responses import SuccessResponse, success_response
from app.core.row_format import RowFormat
from app.routers.exports import file_content
from app.routers.idempotency import idempotency_of
from app.routers.request_options import RequestOptions, refuse_repeated
from app.schemas.bulk_schemas import ImportResponse
from app.services.idempotency_service import IdempotencyService

ImportIdempotency = Annotated[IdempotencyService, idempotency_of(ImportResponse)]
# `responses=` of a route that imports.
IMPORT: Final[Responses] = {
    200: {"model": SuccessResponse[ImportResponse], "description": "A dry run: all lines are good"},
    **problem_responses(UnsupportedMediaTypeError, FileRefusedError),
}


class ImportOptions(RequestOptions):
    dry_run: bool = Field(default=False, description="Check the file, and write nothing: 200.")


class ImportReport:
    """The answer of one request."""

    def __init__(self, response: Response, *, dry_run: bool) -> None:
        self._response = response
        self.dry_run = dry_run

    def report(self, result: ImportResult) -> SuccessResponse[ImportResponse]:
        if self.dry_run:
            self._response.status_code = 200
        return success_response(ImportResponse.model_validate(result))


async def get_report(
    request: Request, response: Response, options: Annotated[ImportOptions, Query()]
) -> ImportReport:
    refuse_repeated(request)
    return ImportReport(response, dry_run=options.dry_run)


ImportAnswer = Annotated[ImportReport, Depends(get_report)]


def rows_of(
    schema: type[BaseModel],
    *,
    ignoring: type[BaseModel],
    formats: Collection[RowFormat] = tuple(RowFormat),
) -> Any:
    """Annotates the rows of the file that is the body, each as `schema` has it.

    The `Content-Type` names the format: one of `formats`, else 415.

    What `ignoring` shows beyond that may be there too, and is not taken over. Its use:
    `ItemRows = Annotated[list[ItemCreate], rows_of(ItemCreate, ignoring=ItemResponse)]`, after the
    caller: whoever is not logged in has no file read.
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
