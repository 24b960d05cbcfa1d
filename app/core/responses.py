"""Names of the kit's envelopes, for routers. Their shape is in `mscr/http/responses.py`."""

from mscr.endpoints.resource_responder import resource_response
from mscr.http.responses import PageResponse, SuccessResponse, page_response, success_response
