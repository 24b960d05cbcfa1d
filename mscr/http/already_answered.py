"""The exception handler that sends the response of `AlreadyAnswered`."""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from mscr.core.already_answered import AlreadyAnswered

JSON_MEDIA_TYPE = "application/json"


def install_already_answered(app: FastAPI) -> None:
    app.add_exception_handler(AlreadyAnswered, _on_already_answered)


async def _on_already_answered(_: Request, answer: Exception) -> Response:
    assert isinstance(answer, AlreadyAnswered)  # noqa: S101  # it is registered for this class
    media_type = JSON_MEDIA_TYPE if answer.body else None
    return Response(answer.body, answer.status, dict(answer.headers), media_type)
