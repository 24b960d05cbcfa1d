"""The headers of responses, each documented once; responses refer to them."""

from collections.abc import Iterator
from typing import Any, Final

from app.core.exceptions import (
    ForbiddenError,
    ServiceUnavailableError,
    TooManyRequestsError,
    UnauthorizedError,
)
from app.core.idempotency import REPLAYED_HEADER
from app.core.openapi_schemas import PREFIX, REFERENCE
from app.core.pagination import PageMeta

# What requests may have, and what their answers have then.
IF_MATCH: Final = "If-Match"
IF_NONE_MATCH: Final = "If-None-Match"
IDEMPOTENCY_KEY: Final = "Idempotency-Key"

_PAGE_META: Final = {"$ref": REFERENCE.format(model=PageMeta.__name__)}
_NAME: Final = r'"[a-z-]+"'

HEADERS: Final[dict[str, dict[str, Any]]] = {
    "X-Request-ID": {
        "description": "The request's id in the log: the client's own X-Request-ID, or a new one.",
        "required": True,
        "schema": {
            "type": "string",
            "pattern": "^[A-Za-z0-9._-]{8,64}$",
            "examples": ["0b9f6d0e54c04e3a8c9a4a4b0a3a5c11"],
        },
    },
    "WWW-Authenticate": {
        "description": "How to authenticate, what is wrong with the token, or which permission "
        "the caller lacks (RFC 6750 §3).",
        "schema": {
            "type": "string",
            "pattern": '^Bearer( error="[a-z_]+"(, scope="[^"]+")?)?$',
            "examples": ['Bearer error="invalid_token"'],
        },
    },
    "Retry-After": {
        "description": "In how many seconds to try again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1, "examples": [2]},
    },
    "RateLimit-Policy": {
        "description": "The limit that was hit: its name, quota and window in seconds.",
        "required": True,
        "schema": {
            "type": "string",
            "pattern": rf"^{_NAME};q=\d+;w=\d+$",
            "examples": ['"account";q=10;w=60'],
        },
    },
    "RateLimit": {
        "description": "What is left of it, and in how many seconds there is more.",
        "required": True,
        "schema": {
            "type": "string",
            "pattern": rf"^{_NAME};r=0;t=\d+$",
            "examples": ['"account";r=0;t=42'],
        },
    },
    "ETag": {
        "description": "Names this version of it, for If-Match and If-None-Match.",
        "schema": {
            "type": "string",
            "pattern": '^"[A-Za-z0-9_-]+"$',
            "examples": ['"3q2-7wAAAAAAAAAAAAAAAA"'],
        },
    },
    "Location": {
        "description": "The path of what was made.",
        "schema": {
            "type": "string",
            "pattern": "^/",
            "examples": ["/api/v1/items/0191a2b3-c4d5-7e6f-8a9b-0c1d2e3f4a5b"],
        },
    },
    "Content-Disposition": {
        "description": "That it is a file, and its name.",
        "schema": {
            "type": "string",
            "pattern": '^attachment; filename="[a-z-]+[.](csv|ndjson)"$',
            "examples": ['attachment; filename="items.csv"'],
        },
    },
    REPLAYED_HEADER: {
        "description": "`true`: the answer of an earlier request with this Idempotency-Key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Link": {
        "description": "Where the other pages are (RFC 8288): `first`, `prev`, `next` and `last` "
        "of numbered pages, `first` and `next` of cursors. Relative to the URL that was asked for.",
        "schema": {
            "type": "string",
            "examples": ['<?page=3&per_page=20>; rel="next", <?page=1&per_page=20>; rel="prev"'],
        },
    },
}
EVERYWHERE: Final = ("X-Request-ID",)
BY_STATUS: Final = {
    UnauthorizedError.status: ("WWW-Authenticate",),
    ForbiddenError.status: ("WWW-Authenticate",),
    TooManyRequestsError.status: ("Retry-After", "RateLimit-Policy", "RateLimit"),
    ServiceUnavailableError.status: ("Retry-After",),
}


def refer_to(*names: str) -> dict[str, Any]:
    """`headers` of a response: some of `HEADERS`."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def headers_read(operation: dict[str, Any]) -> set[str]:
    parameters = operation.get("parameters", ())
    return {parameter["name"] for parameter in parameters if parameter["in"] == "header"}


def document_headers(openapi: dict[str, Any]) -> None:
    """Add them to every response, beside those that a route documents itself."""
    openapi["components"]["headers"] = HEADERS
    for path in openapi["paths"].values():
        for method, operation in path.items():
            read = headers_read(operation)
            if IF_NONE_MATCH in read and method == "get":
                operation["responses"]["304"] = {
                    "description": "The client has this version already.",
                    "headers": refer_to("ETag"),
                }
            for status, response in operation["responses"].items():
                names = (*EVERYWHERE, *BY_STATUS.get(int(status), ()))
                if status.startswith("2") and "content" in response:
                    names += (*_names_by_request(read), *_names_of_page(openapi, response))
                response["headers"] = refer_to(*names) | response.get("headers", {})


def _names_by_request(read: set[str]) -> Iterator[str]:
    if IF_MATCH in read:
        yield "ETag"
    if IDEMPOTENCY_KEY in read:
        yield REPLAYED_HEADER


def _names_of_page(openapi: dict[str, Any], response: dict[str, Any]) -> Iterator[str]:
    """A list is told by its `meta`."""
    shown = response["content"].get("application/json", {}).get("schema", {}).get("$ref", "")
    schema = openapi["components"]["schemas"].get(shown.removeprefix(PREFIX), {})
    if _PAGE_META in schema.get("properties", {}).get("meta", {}).get("anyOf", ()):
        yield "Link"
