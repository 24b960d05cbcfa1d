"""Answers to what never becomes a request: malformed, too large or too slow."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    headers: Headers
    body: bytes


# Makes the answer for a status and the address of the client, and logs it.
Answerer = Callable[[HTTPStatus, str | None], Answer]


class Refused(Exception):  # noqa: N818  # control flow inside the protocol, no error of ours
    """Raised in a callback of the parser to stop it."""

    def __init__(self, status: HTTPStatus) -> None:
        self.status = status
        super().__init__(status)


def plain_answer(status: HTTPStatus, _client: str | None) -> Answer:
    return Answer([(b"content-type", b"text/plain; charset=utf-8")], status.phrase.encode())


def render(status: HTTPStatus, answer: Answer, default_headers: Headers) -> bytes:
    """Return the whole response, after which the connection is closed."""
    length = (b"content-length", str(len(answer.body)).encode())
    closing = (b"connection", b"close")
    lines = [f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()]
    lines += [b"%s: %s\r\n" % h for h in (*default_headers, *answer.headers, length, closing)]
    return b"".join([*lines, b"\r\n", answer.body])
