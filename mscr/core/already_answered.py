"""The exception for a response that needs no work: 304, or a replay of a stored response."""

from collections.abc import Mapping


class AlreadyAnswered(Exception):  # noqa: N818  # not an error
    """Send this response: 304, or the stored response to the same idempotency key.

    Services raise it instead of doing the work. The open transaction is rolled back.
    """

    def __init__(self, status: int, headers: Mapping[str, str], body: str = "") -> None:
        self.status = status
        self.headers = headers
        self.body = body
        super().__init__(status)
