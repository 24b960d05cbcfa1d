"""Accounts for benchmarks, registered and logged in over HTTP."""

from benchmarks.client import Answer, Connection, encode

PASSWORD = "correct horse battery"  # noqa: S105  # for throw-away databases only


def login_request(email: str) -> bytes:
    return encode("POST", "/api/v1/auth/login", body={"email": email, "password": PASSWORD})


async def register(connection: Connection, name: str) -> str:
    """Register an account, and return its address."""
    email = f"{name}@example.com"
    body = {"email": email, "password": PASSWORD}
    _require(201, await connection.send(encode("POST", "/api/v1/auth/register", body=body)))
    return email


async def log_in(connection: Connection, email: str) -> dict[str, str]:
    """Log in, and return the tokens of the new session."""
    answer = await connection.send(login_request(email))
    _require(200, answer)
    return answer.data


def _require(status: int, answer: Answer) -> None:
    if answer.status != status:
        raise RuntimeError(f"the preparation was answered with {answer.status}: {answer.body!r}")
