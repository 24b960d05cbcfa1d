"""Answers with one object: its envelope, its entity tag, and where it is."""

from typing import Annotated, Final, TypeVar

from fastapi import Depends, Request, Response
from pydantic import BaseModel

from app.core.openapi import Responses
from app.core.openapi_headers import refer_to
from app.core.preconditions import Identified, Versioned, entity_tag
from app.core.responses import SuccessResponse, success_response

SchemaT = TypeVar("SchemaT", bound=BaseModel)

# `responses=` of a route that creates.
CREATED: Final[Responses] = {201: {"headers": refer_to("ETag", "Location")}}


class ResourceResponse:
    """Of one request. It shows objects through a schema, as `success_response` and pages do."""

    def __init__(self, request: Request, response: Response) -> None:
        self._request = request
        self._headers = response.headers

    def show(self, entity: Versioned, schema: type[SchemaT]) -> SuccessResponse[SchemaT]:
        """The object, with its `ETag`."""
        shown = schema.model_validate(entity)
        self._headers["ETag"] = entity_tag(entity, shown)
        return success_response(shown)

    def created(self, entity: Identified, schema: type[SchemaT]) -> SuccessResponse[SchemaT]:
        """A new object of the collection that was posted to: with `Location`, and its `ETag`."""
        shown = schema.model_validate(entity)
        self._headers.update(created_headers(entity, shown, self._request.url.path))
        return success_response(shown)


def created_headers(entity: Identified, shown: BaseModel, path: str) -> dict[str, str]:
    """Those of an answer that `shown` has been created at `path`."""
    # Without Location, the tag would be that of the collection (RFC 9110 §15.3.2).
    headers = {"Location": f"{path}/{entity.public_id}"}
    if isinstance(entity, Versioned):
        headers["ETag"] = entity_tag(entity, shown)
    return headers


async def get_resource_response(request: Request, response: Response) -> ResourceResponse:
    # The class itself would be called in a thread, as everything that is no coroutine.
    return ResourceResponse(request, response)


Answer = Annotated[ResourceResponse, Depends(get_resource_response)]
