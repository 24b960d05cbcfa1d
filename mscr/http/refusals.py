"""The server's responses to input that never becomes a request, in the shape of other errors."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote
from uuid import uuid4

from mscr.core.access_log import AccessLog
from mscr.core.addresses import canonical_address
from mscr.core.logging import loggable
from mscr.http.dialect import DEFAULT_DIALECT, Dialect
from mscr.http.middleware import SECURITY_HEADERS
from mscr.http.problems import PROBLEM_MEDIA_TYPE, error_with, problem_response
from mscr.server.refusal import Answer, Headers, Refusal

access_log = AccessLog(__name__)

# The headers of these responses that a page can only read if they are exposed.
_EXPOSED: Final = b"Retry-After, X-Request-ID"
_OF_CONTENT: Final = {b"content-length", b"content-type"}
_VARY: Final = (b"vary", b"Origin")


@dataclass(frozen=True, slots=True)
class Refusals:
    """Make the responses. Pages of `origins` may read them, if the Origin header has arrived."""

    origins: Collection[str]
    credentials: bool
    dialect: Dialect = DEFAULT_DIALECT
    root_path: str = ""

    def __call__(self, refusal: Refusal) -> Answer:
        """Return a problem with a request id of its own, under which it is logged."""
        request_id, status = uuid4().hex, refusal.status
        address = loggable(canonical_address(refusal.client)) if refusal.client else None
        access_log.write(
            "request_refused", status=status.value, client=address, request_id=request_id
        )
        response = problem_response(error_with(status), request_id)
        headers = [h for h in response.raw_headers if h[0] not in _OF_CONTENT]
        kind, body = self._content(refusal, bytes(response.body))
        headers += [(b"content-type", kind.encode())]
        headers += [*SECURITY_HEADERS.items(), (b"x-request-id", request_id.encode())]
        return Answer([*headers, *self._cross_origin(refusal)], body)

    def _content(self, refusal: Refusal, problem: bytes) -> tuple[str, bytes]:
        """Return the media type and the body, in the shape of the path's errors."""
        target = refusal.target.decode("latin-1").partition("?")[0]
        path = unquote(target).removeprefix(self.root_path)
        shape = self.dialect.shape_of(path)
        if shape is None:
            return PROBLEM_MEDIA_TYPE, problem
        return shape.media_type, shape.content(json.loads(problem))

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
