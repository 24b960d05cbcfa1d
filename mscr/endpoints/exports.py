"""Responses with a whole list, as a file that is sent while it is read."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from mscr.endpoints.export_rows import ExportQuery
from mscr.endpoints.row_format import RowFormat, encode, encode_head
from mscr.http.openapi import Responses
from mscr.http.openapi_headers import refer_to
from mscr.schemas.examples import example_of


class _UncancelledResponse(StreamingResponse):
    """A streaming response that finishes the current step when the client disconnects.

    The framework's own response cancels the step, and then cancels its clean-up too. A query on
    SQLite could not even close its connection, and left tracebacks in the log.
    """

    async def __call__(
        self,
        scope: Scope,  # noqa: ARG002  # the framework passes it to every response
        receive: Receive,  # noqa: ARG002  # likewise
        send: Send,
    ) -> None:
        await self.stream_response(send)
        if self.background is not None:
            await self.background()


class ExportResponse:
    """The response to one export."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._accept = request.headers.get("accept", "")

    def send(
        self,
        batches: AsyncIterator[Sequence[Any]],
        schema: type[BaseModel],
        query: ExportQuery,
        *,
        name: str,
    ) -> StreamingResponse:
        """Return the rows, each shown through `schema`, as a file of this name.

        An error in the middle cuts the connection, so that a truncated file never looks complete.
        After the client disconnects, no more batches are read.
        """
        row_format = query.format or preferred_format(self._accept)
        disposition = f'attachment; filename="{name}.{row_format.value}"'

        async def content() -> AsyncIterator[bytes]:
            yield encode_head(schema, row_format)
            async for batch in batches:
                yield encode((schema.model_validate(row) for row in batch), row_format)
                if await self._request.is_disconnected():
                    raise ClientDisconnect

        return _UncancelledResponse(
            content(),
            headers={"Content-Disposition": disposition},
            media_type=row_format.media_type,
        )


def preferred_format(accept: str) -> RowFormat:
    """Return the format with the higher weight in an Accept header; NDJSON if neither is higher.

    A header that allows neither is ignored (RFC 9110 §12.5.1): Content-Type names the format.
    """
    weights = dict(_weights(accept))
    csv = weights.get(RowFormat.CSV.media_type, weights.get("text/*", 0.0))
    ndjson = weights.get(RowFormat.NDJSON.media_type, weights.get("*/*", 0.0))
    return RowFormat.CSV if csv > ndjson else RowFormat.NDJSON


def _weights(accept: str) -> Iterator[tuple[str, float]]:
    for part in accept.split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = next((p.removeprefix("q=") for p in parameters if p.startswith("q=")), "1")
        try:
            yield media_type, float(weight)
        except ValueError:
            continue


def file_content(example: BaseModel) -> dict[str, Any]:
    """Return `content` of a body or a response in OpenAPI: a file of rows like this one."""
    schema = type(example)
    name = schema.__name__.removesuffix("Response")
    return {
        row_format.media_type: {
            "schema": {
                "title": f"{name}{row_format.name.title()}",
                "type": "string",
                "examples": [
                    (encode_head(schema, row_format) + encode([example], row_format)).decode()
                ],
            }
        }
        for row_format in RowFormat
    }


def export_of(schema: type[BaseModel], **values: Any) -> Responses:
    """Return the `responses=` of a route that exports rows of this schema.

    `values` are the example's values of fields without `examples`.
    """
    example = example_of(schema, **values)
    description = (
        "The file. If the connection is cut before the end of the response, the file is incomplete."
    )
    headers = refer_to("Content-Disposition")
    return {200: {"description": description, "headers": headers, "content": file_content(example)}}


async def get_export(request: Request) -> ExportResponse:
    return ExportResponse(request)


Export = Annotated[ExportResponse, Depends(get_export)]
