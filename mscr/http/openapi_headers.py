"""The headers of responses, each documented once; responses refer to them."""

from collections.abc import Iterator
from typing import Any, Final

from mscr.core.exceptions import (
    ForbiddenError,
    ServiceUnavailableError,
    TooManyRequestsError,
    UnauthorizedError,
)
from mscr.http.header_names import (
    IDEMPOTENCY_KEY,
    IDEMPOTENCY_REPLAYED,
    IF_MATCH,
    IF_NONE_MATCH,
)
from mscr.http.openapi_schemas import PREFIX, REFERENCE
from mscr.schemas.list_schemas import PageMeta

_PAGE_META: Final = {"$ref": REFERENCE.format(model=PageMeta.__name__)}
_NAME: Final = r'"[a-z-]+"'

HEADERS: Final[dict[str, dict[str, Any]]] = {
    "X-Request-ID": {
        "description": "The id of the request in the log: the client's X-Request-ID, or a new one.",
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
        "description": "Seconds to wait before a retry.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1, "examples": [2]},
    },
    "RateLimit-Policy": {
        "description": "The limit that was exceeded: its name, quota and window in seconds.",
        "required": True,
        "schema": {
            "type": "string",
            "pattern": rf"^{_NAME};q=\d+;w=\d+$",
            "examples": ['"account";q=10;w=60'],
        },
    },
    "RateLimit": {
        "description": "The remaining quota, and the seconds until it is reset.",
        "required": True,
        "schema": {
            "type": "string",
            "pattern": rf"^{_NAME};r=0;t=\d+$",
            "examples": ['"account";r=0;t=42'],
        },
    },
    "ETag": {
        "description": "The version of the object, for If-Match and If-None-Match.",
        "schema": {
            "type": "string",
            "pattern": '^"[A-Za-z0-9_-]+"$',
            "examples": ['"3q2-7wAAAAAAAAAAAAAAAA"'],
        },
    },
    "Location": {
        "description": "The path of the new object.",
        "schema": {
            "type": "string",
            "pattern": "^/",
            "examples": ["/api/v1/items/0191a2b3-c4d5-7e6f-8a9b-0c1d2e3f4a5b"],
        },
    },
    "Content-Disposition": {
        "description": "Marks the response as a file, and names it.",
        "schema": {
            "type": "string",
            "pattern": '^attachment; filename="[^"]+"$',
            "examples": ['attachment; filename="items.csv"'],
        },
    },
    IDEMPOTENCY_REPLAYED: {
        "description": "`true`: the stored response of the first request with this key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Link": {
        "description": "Links to the other pages (RFC 8288): `first`, `prev`, `next` and `last` of "
        "numbered pages, `first` and `next` of cursors. There is no `last` if further rows have "
        "cursors only. Relative to the URL of the request.",
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
    """Return `headers` of a response in OpenAPI, by their names in `HEADERS`."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def headers_read(operation: dict[str, Any]) -> set[str]:
    parameters = operation.get("parameters", ())
    return {parameter["name"] for parameter in parameters if parameter["in"] == "header"}


def document_headers(openapi: dict[str, Any]) -> None:
    """Add `HEADERS` to the responses that send them, beside those that a route documents itself."""
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
        yield IDEMPOTENCY_REPLAYED


def _names_of_page(openapi: dict[str, Any], response: dict[str, Any]) -> Iterator[str]:
    """Yield `Link` for a list, which is recognized by its `meta`."""
    shown = response["content"].get("application/json", {}).get("schema", {}).get("$ref", "")
    schema = openapi["components"]["schemas"].get(shown.removeprefix(PREFIX), {})
    if _PAGE_META in schema.get("properties", {}).get("meta", {}).get("anyOf", ()):
        yield "Link"
