"""The server's answers to what never becomes a request, in the shape of all other errors."""

from http import HTTPStatus
from uuid import uuid4

# A worker imports this module first, and structlog must not find rich.
from app.core.logging import loggable  # isort: skip

import structlog

from app.core.addresses import canonical_address
from app.core.middleware import SECURITY_HEADERS
from app.core.problems import error_with, problem_response
from app.server.refusal import Answer

log = structlog.get_logger(__name__)


def refuse(status: HTTPStatus, client: str | None) -> Answer:
    """Return a problem with a request id of its own, under which it is logged."""
    request_id = uuid4().hex
    address = loggable(canonical_address(client)) if client else None
    log.info("request_refused", status=status.value, client=address, request_id=request_id)
    response = problem_response(error_with(status), request_id)
    headers = [h for h in response.raw_headers if h[0] != b"content-length"]
    headers += [*SECURITY_HEADERS.items(), (b"x-request-id", request_id.encode())]
    return Answer(headers, bytes(response.body))
