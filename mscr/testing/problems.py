"""Assertions on error responses: the problem, the 401 challenge, the faulty fields.

In an application with a dialect, they compare the response with the dialect, and then check the
problem that it was made from.
"""

import re
from typing import Any, Final

from httpx2 import Response

from mscr.http.dialect import DEFAULT_DIALECT, Dialect
from mscr.http.problems import PROBLEM_MEDIA_TYPE

TOKEN_PATH = "/api/v1/auth/token"
OAUTH2_MEMBERS = {"error", "error_description"}
MEMBERS = {"type", "title", "status", "detail", "instance", "success", "code", "request_id"}
# Extensions that the client of an application with a dialect adds to a response.
DIALECT: Final = "dialect"
PROBLEM: Final = "problem"
_CODE: Final = re.compile(r'"code": ?"(\w+)"')


def problem(response: Response, status: int, code: str) -> dict[str, Any]:
    """Return the problem of a response; it must have this status and code, and every member."""
    assert response.status_code == status, response.text
    body = shown_problem(response)
    is_of_oauth2 = response.request.url.path.endswith(TOKEN_PATH)
    assert body.keys() - {"errors"} == MEMBERS | (OAUTH2_MEMBERS if is_of_oauth2 else set())
    assert (body["status"], body["code"], body["success"]) == (status, code, False)
    return body


def shown_problem(response: Response) -> dict[str, Any]:
    """Return the problem that an error response shows, in the shape that its path must have."""
    path = response.request.url.path
    shape = dialect_of(response).shape_of(path)
    is_shaped = shape is not None and not path.endswith(TOKEN_PATH)
    expected = shape.media_type if shape and is_shaped else PROBLEM_MEDIA_TYPE
    assert response.headers["content-type"] == expected, response.text
    body: dict[str, Any] = response.json()
    if shape is None or not is_shaped:
        return body
    found: dict[str, Any] = response.extensions[PROBLEM]
    assert body == shape.body(found)
    return found


def code_of(response: Response) -> str | None:
    """Return the code of an error, in whatever dialect it is shown, or None if it has none."""
    if PROBLEM in response.extensions:
        return str(response.extensions[PROBLEM]["code"])
    found = _CODE.search(response.text)
    return None if found is None else found[1]


def dialect_of(response: Response) -> Dialect:
    """Return the dialect of the application that sent a response."""
    found: Dialect = response.extensions.get(DIALECT, DEFAULT_DIALECT)
    return found


def assert_unauthorized(response: Response, code: str = "unauthorized") -> None:
    """Assert a 401 whose challenge has an error only if a token was sent (RFC 6750 §3)."""
    problem(response, 401, code)
    name = dialect_of(response).token_scheme_name
    scheme, _, token = response.request.headers.get("authorization", "").partition(" ")
    refused = code == "unauthorized" and scheme == name and token
    challenge = f'{name} error="invalid_token"' if refused else name
    assert response.headers["www-authenticate"] == challenge


def faulty_fields(response: Response) -> list[list[str | int]]:
    """Return the locations of the values that a 422 refuses."""
    body = problem(response, 422, "validation_failed")
    return [fault["loc"] for fault in body["errors"]]
