"""Responses with one object: its envelope, its entity tag and its location."""

from typing import Annotated, Final, TypeVar, cast

from fastapi import Depends, Request, Response
from pydantic import BaseModel

from mscr.http.exchange import current_exchange
from mscr.http.openapi import Responses
from mscr.http.openapi_headers import refer_to
from mscr.http.representation import Identified, Representation, Versioned, represent
from mscr.http.responses import SuccessResponse
from mscr.queries.shown_rows import ShownRow

SchemaT = TypeVar("SchemaT", bound=BaseModel)

CREATED_STATUS: Final = 201
# `responses=` of a route that creates.
CREATED: Final[Responses] = {CREATED_STATUS: {"headers": refer_to("ETag", "Location")}}


class ResourceResponder:
    """The response to one request. It shows objects through a schema, as `success_response` does.

    The object is serialized once: its `ETag` is a digest of the bytes that are sent.
    """

    def __init__(self, request: Request, response: Response) -> None:
        self._request = request
        self._response = response

    def ok(self, entity: Versioned, schema: type[SchemaT]) -> SuccessResponse[SchemaT]:
        """Return the object in the envelope, with its `ETag`."""
        shown = represent(self._request, entity, schema)
        self._response.headers["ETag"] = shown.etag
        return self._send(shown, schema)

    def created(self, entity: Identified, schema: type[SchemaT]) -> SuccessResponse[SchemaT]:
        """Return an object created in the collection of the path, with `Location` and `ETag`."""
        shown = represent(self._request, entity, schema)
        self._response.headers.update(shown.created_headers(self._request.url.path))
        return self._send(shown, schema)

    def _send(self, shown: Representation, _: type[SchemaT]) -> SuccessResponse[SchemaT]:
        """Return a finished response in place of the route's documented return type.

        Warning: headers and cookies that a route sets after this are lost.
        """
        status = self._response.status_code or self._request.scope["route"].status_code or 200
        response = Response(shown.body, status, media_type="application/json")
        response.headers.raw.extend(self._response.headers.raw)
        # FastAPI sends a response as it is, whatever return type the route documents.
        return cast("SuccessResponse[SchemaT]", response)


async def get_resource_responder(request: Request, response: Response) -> ResourceResponder:
    # As a dependency, the class itself would run in a thread, like all that is not a coroutine.
    return ResourceResponder(request, response)


Responder = Annotated[ResourceResponder, Depends(get_resource_responder)]


def resource_response(entity: ShownRow, schema: type[SchemaT]) -> SuccessResponse[SchemaT]:
    """Wrap an object in the envelope, shown through `schema`, with its `ETag`.

    If the status of the route is 201, add the `Location` of the object in the collection at the
    request's path, or its own path if it is the one above that collection. The route needs
    `service_for_caller`. Warning: headers that it sets after this are lost.
    """
    current = current_exchange()
    respond = ResourceResponder(*current)
    if current.request.scope["route"].status_code == CREATED_STATUS:
        return respond.created(entity, schema)
    return respond.ok(entity, schema)
