"""Assertions on error responses: the problem, the 401 challenge, the faulty fields."""

from typing import Any

from httpx2 import Response

TOKEN_PATH = "/api/v1/auth/token"
OAUTH2_MEMBERS = {"error", "error_description"}
MEMBERS = {"type", "title", "status", "detail", "instance", "success", "code", "request_id"}


def problem(response: Response, status: int, code: str) -> dict[str, Any]:
    """Return the problem of a response; it must have this status and code, and every member."""
    assert (response.status_code, response.headers["content-type"]) == (
        status,
        "application/problem+json",
    ), response.text
    body: dict[str, Any] = response.json()
    is_of_oauth2 = response.request.url.path.endswith(TOKEN_PATH)
    assert body.keys() - {"errors"} == MEMBERS | (OAUTH2_MEMBERS if is_of_oauth2 else set())
    assert (body["status"], body["code"], body["success"]) == (status, code, False)
    return body


def assert_unauthorized(response: Response, code: str = "unauthorized") -> None:
    """Assert a 401 whose challenge has an error only if a token was sent (RFC 6750 §3)."""
    problem(response, 401, code)
    scheme, _, token = response.request.headers.get("authorization", "").partition(" ")
    refused = code == "unauthorized" and scheme == "Bearer" and token
    challenge = 'Bearer error="invalid_token"' if refused else "Bearer"
    assert response.headers["www-authenticate"] == challenge


def faulty_fields(response: Response) -> list[list[str | int]]:
    """Return the locations of the values that a 422 refuses."""
    body = problem(response, 422, "validation_failed")
    return [fault["loc"] for fault in body["errors"]]
