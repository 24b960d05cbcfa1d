"""The server's responses to input that never becomes a request, in the shape of other errors."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from mscr.core.access_log import AccessLog
from mscr.core.addresses import canonical_address
from mscr.core.logging import loggable
from mscr.http.middleware import SECURITY_HEADERS
from mscr.http.problems import error_with, problem_response
from mscr.server.refusal import Answer, Headers, Refusal

access_log = AccessLog(__name__)

# The headers of these responses that a page can only read if they are exposed.
_EXPOSED: Final = b"Retry-After, X-Request-ID"
_VARY: Final = (b"vary", b"Origin")


@dataclass(frozen=True, slots=True)
class Refusals:
    """Make the responses. Pages of `origins` may read them, if the Origin header has arrived."""

    origins: Collection[str]
    credentials: bool

    def __call__(self, refusal: Refusal) -> Answer:
        """Return a problem with a request id of its own, under which it is logged."""
        request_id, status = uuid4().hex, refusal.status
        address = loggable(canonical_address(refusal.client)) if refusal.client else None
        access_log.write(
            "request_refused", status=status.value, client=address, request_id=request_id
        )
        response = problem_response(error_with(status), request_id)
        headers = [h for h in response.raw_headers if h[0] != b"content-length"]
        headers += [*SECURITY_HEADERS.items(), (b"x-request-id", request_id.encode())]
        return Answer([*headers, *self._cross_origin(refusal)], bytes(response.body))

    def _cross_origin(self, refusal: Refusal) -> Headers:
        """Return the CORS headers, which the application cannot add to these responses."""
        if not self.origins:
            return []
        origin = next((value for name, value in refusal.headers if name == b"origin"), b"")
        if origin.decode("latin-1") not in self.origins:
            return [_VARY]
        headers = [_VARY, (b"access-control-allow-origin", origin)]
        if self.credentials:
            headers.append((b"access-control-allow-credentials", b"true"))
        return [*headers, (b"access-control-expose-headers", _EXPOSED)]
