"""Errors of an OAuth2 token endpoint: RFC 6749's members beside those of a problem.

OAuth2 clients read `error` and `error_description` (§5.2) at the top level, and nothing else.
`OAuth2ErrorMiddleware` adds them to every error of one path, also to those that other middleware
sends before a route is found.
"""

import json
import re
from collections.abc import Awaitable, Iterator
from typing import Any, Final, Literal, get_args

from pydantic import Field
from starlette.types import ASGIApp, Receive, Scope, Send

from mscr.http.problem_sender import ProblemSender
from mscr.http.problems import PROBLEM_MEDIA_TYPE
from mscr.schemas.problem_schemas import Problem

ErrorCode = Literal[
    "invalid_request",
    "invalid_grant",
    "unsupported_grant_type",
    "server_error",
    "temporarily_unavailable",
]

# Characters that `error_description` must not contain (RFC 6749 §5.2).
_UNPRINTABLE: Final = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")
# Retry later. §5.2 has no code for this, so the one of §4.1.2.1 is used.
_TEMPORARY: Final = {429, 503}
_SERVER_ERROR: Final = 500


class OAuth2Problem(Problem):
    """A problem of the token endpoint, with RFC 6749's members for OAuth2 clients."""

    error: ErrorCode = Field(
        description="A code of RFC 6749 §5.2, or of §4.1.2.1 for errors that §5.2 lacks."
    )
    error_description: str = Field(examples=["There is no such resource."])


def oauth2_members(problem: dict[str, Any]) -> dict[str, str]:
    """Return the members to add to a problem's body."""
    return {
        "error": _error_code(problem["code"], problem["status"]),
        "error_description": _UNPRINTABLE.sub("'", problem["detail"]),
    }


def _error_code(code: str, status: int) -> str:
    if code in get_args(ErrorCode):
        return code
    if status in _TEMPORARY:
        return "temporarily_unavailable"
    return "server_error" if status >= _SERVER_ERROR else "invalid_request"


class OAuth2ErrorMiddleware:
    """Add RFC 6749's members to the errors of the token endpoint at `path`."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self.app = app
        self._path = path

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "http" and scope["path"].endswith(self._path):
            root = scope.get("root_path", "")
            if scope["path"].removeprefix(root) == self._path:
                send = ProblemSender(send, _extended).send
        return self.app(scope, receive, send)


def _extended(problem: dict[str, Any]) -> bytes:
    return json.dumps(problem | oauth2_members(problem)).encode()


def document_oauth2_errors(openapi: dict[str, Any], reference: str) -> None:
    """Add the members to the errors of each operation that is a token URL in this document.

    `reference` is the format of a schema's reference, with the placeholder `{model}`.
    """
    for path in _token_urls(openapi) & openapi["paths"].keys():
        schema = OAuth2Problem.model_json_schema(ref_template=reference, mode="serialization")
        schema.pop("$defs", None)
        openapi["components"]["schemas"][OAuth2Problem.__name__] = schema
        for media in _problems(openapi["paths"][path]):
            media["schema"] = {"$ref": reference.format(model=OAuth2Problem.__name__)}
            for example in media["examples"].values():
                example["value"] |= oauth2_members(example["value"])


def _token_urls(openapi: dict[str, Any]) -> set[str]:
    schemes = openapi["components"].get("securitySchemes", {}).values()
    flows = (flow for scheme in schemes for flow in scheme.get("flows", {}).values())
    return {flow["tokenUrl"] for flow in flows if "tokenUrl" in flow}


def _problems(path: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for operation in path.values():
        for response in operation["responses"].values():
            if PROBLEM_MEDIA_TYPE in response.get("content", {}):
                yield response["content"][PROBLEM_MEDIA_TYPE]
