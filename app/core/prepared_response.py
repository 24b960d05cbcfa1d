"""Answers that are known before a use case is through: 304, and what an earlier request got."""

from collections.abc import Mapping

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

JSON_MEDIA_TYPE = "application/json"


class PreparedResponse(Exception):  # noqa: N818  # it is no error
    """Raised in place of doing the work; the transaction that was begun is rolled back."""

    def __init__(self, status: int, headers: Mapping[str, str], body: str = "") -> None:
        self.status = status
        self.headers = headers
        self.body = body
        super().__init__(status)


def install_prepared_responses(app: FastAPI) -> None:
    app.add_exception_handler(PreparedResponse, _on_prepared_response)


async def _on_prepared_response(_: Request, prepared: Exception) -> Response:
    assert isinstance(prepared, PreparedResponse)  # noqa: S101  # it is registered for this class
    media_type = JSON_MEDIA_TYPE if prepared.body else None
    return Response(prepared.body, prepared.status, dict(prepared.headers), media_type)
