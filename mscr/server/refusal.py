"""Error responses to input that never becomes a request: malformed, too large or too slow."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused request. `headers` are those parsed so far, or those of the previous request.

    `target` is the part of the URL that has been parsed.
    """

    status: HTTPStatus
    client: str | None
    headers: Headers
    target: bytes = b""


# Returns the response to a refusal, and logs it.
Answerer = Callable[[Refusal], Answer]


class Refused(Exception):  # noqa: N818  # control flow inside the protocol, not an error
    """Raised in a parser's callback to stop parsing."""

    def __init__(self, status: HTTPStatus) -> None:
        self.status = status
        super().__init__(status)


def plain_answer(refusal: Refusal) -> Answer:
    content_type = (b"content-type", b"text/plain; charset=utf-8")
    return Answer([content_type], refusal.status.phrase.encode())


def render(
    status: HTTPStatus, answer: Answer, default_headers: Headers, *, is_head: bool = False
) -> bytes:
    """Return the whole response, after which the connection is closed."""
    length = (b"content-length", str(len(answer.body)).encode())
    closing = (b"connection", b"close")
    lines = [f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()]
    lines += [b"%s: %s\r\n" % h for h in (*default_headers, *answer.headers, length, closing)]
    return b"".join([*lines, b"\r\n", b"" if is_head else answer.body])
