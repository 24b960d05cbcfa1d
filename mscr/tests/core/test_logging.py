"""Logs: one line per event, in one format, with the request's id and without secrets."""

import json
import logging
import logging.config
from datetime import UTC, datetime
from typing import Any, Final

import pytest
import structlog
import time_machine
from fastapi import FastAPI
from httpx2 import AsyncClient
from uvicorn.config import LOGGING_CONFIG

from examples.catalogue.core.config import Settings
from examples.catalogue.tests.api import Api
from mscr.core.logging import configure_logging, loggable
from mscr.testing.api import PASSWORD
from mscr.testing.applications import client_from
from mscr.testing.databases import on_sqlite
from mscr.tests.core.conftest import Printed

# A carriage return, a line feed, a forged log line, a colour, and Unicode's own line ends.
FORGED_PATH: Final = "/x%0d%0a2030-01-01%20[info%20]%20forged%1b[31m%e2%80%a8%c2%85end"

json_lines = pytest.mark.settings(LOG_JSON=True)
text_lines = pytest.mark.settings(LOG_JSON=False)
in_each_format = pytest.mark.parametrize(
    "log_format", [pytest.param("json", marks=json_lines), pytest.param("text", marks=text_lines)]
)


def parsed(lines: list[str]) -> list[dict[str, Any]]:
    """Parse the lines of the application's loggers, without those of the tests' HTTP client."""
    every: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return [line for line in every if line["logger"].startswith(("app.", "mscr."))]


async def register(api: Api, **headers: str) -> None:
    body = {"email": "canary@example.com", "password": PASSWORD}
    await api.client.post("/api/v1/auth/register", json=body, headers=headers)


@on_sqlite
@json_lines
async def test_a_request_is_one_line_without_its_query(
    client: AsyncClient, printed: Printed
) -> None:
    await client.get("/health/live?token=canary")

    [line] = parsed(printed())
    assert (line["event"], line["level"], line["method"]) == ("request", "info", "GET")
    assert (line["path"], line["status"]) == ("/health/live", 200)


@on_sqlite
@json_lines
async def test_every_line_of_a_request_has_its_id(api: Api, printed: Printed) -> None:
    await register(api, **{"X-Request-ID": "order-66.retry_1"})

    lines = parsed(printed())

    assert [line["event"] for line in lines] == ["audit", "request"]
    assert {line["request_id"] for line in lines} == {"order-66.retry_1"}


@on_sqlite
@json_lines
async def test_a_request_does_not_inherit_the_id_of_the_last_one(
    client: AsyncClient, printed: Printed
) -> None:
    await client.get("/health/live", headers={"X-Request-ID": "the-first-one"})
    await client.get("/health/live")

    first, second = parsed(printed())
    assert first["request_id"] == "the-first-one"
    assert second["request_id"] != "the-first-one"


@on_sqlite
@json_lines
async def test_a_request_does_not_inherit_log_context_of_the_last_one(
    app: FastAPI, client: AsyncClient, printed: Printed
) -> None:
    @app.get("/binding")
    async def bind() -> None:
        structlog.contextvars.bind_contextvars(tenant="canary")

    await client.get("/binding")
    await client.get("/health/live")

    first, second = parsed(printed())
    assert (first["tenant"], second.get("tenant")) == ("canary", None)


@on_sqlite
@json_lines
async def test_the_request_id_of_the_log_is_in_the_response_and_its_problem(
    client: AsyncClient, printed: Printed
) -> None:
    response = await client.get("/nowhere")

    [line] = parsed(printed())
    told = {response.headers["x-request-id"], response.json()["request_id"]}
    assert told == {line["request_id"]}


@on_sqlite
@pytest.mark.parametrize("offered", ["a1b2c3d4", "A-b_c.9" * 9, "0" * 64])
async def test_a_valid_request_id_is_kept(client: AsyncClient, offered: str) -> None:
    response = await client.get("/health/live", headers={"X-Request-ID": offered})

    assert response.headers["x-request-id"] == offered


@on_sqlite
@pytest.mark.parametrize(
    "offered",
    [
        "",
        "short",
        "0" * 65,
        "with a space",
        "semi;colon",
        '"quoted-id"',
        "<script>",
        "n\u00e4me-123",
    ],
)
async def test_any_other_request_id_is_replaced(client: AsyncClient, offered: str) -> None:
    """ER4."""
    headers = {b"X-Request-ID": offered.encode()}
    response = await client.get("/health/live", headers=headers)

    assert response.headers["x-request-id"] != offered
    assert len(response.headers["x-request-id"]) == 32


@on_sqlite
@json_lines
async def test_control_characters_in_an_address_forge_no_line(
    app: FastAPI, printed: Printed
) -> None:
    """ER4: behind a proxy, the address comes from a header. Readers of the log decode JSON."""
    async with client_from("203.0.113.7\r\n\x1b[31m", app) as client:
        await client.get("/health/live")

    [line] = parsed(printed())
    assert line["client"] == r"203.0.113.7\r\n\x1b[31m"


@on_sqlite
@in_each_format
async def test_control_characters_in_a_path_forge_no_line(
    client: AsyncClient, printed: Printed, log_format: str
) -> None:
    """ER4."""
    await client.get(FORGED_PATH)

    lines = [line for line in printed() if "mscr.http.middleware" in line]

    assert len(lines) == 1
    assert r"\r\n2030-01-01" in lines[0].replace("\\\\", "\\")
    assert lines[0].isprintable()


@pytest.mark.parametrize("text", ["a\rb", "a\nb", "\x1b[2J", "\x00", "\u2028", "\x85", "\u202e"])
def test_loggable_text_has_no_control_characters(text: str) -> None:
    """ER4."""
    assert loggable(text).isprintable()
    assert loggable(text).isascii()


@on_sqlite
@json_lines
async def test_a_path_stays_escaped_when_json_is_decoded(
    client: AsyncClient, printed: Printed
) -> None:
    """ER4."""
    await client.get(FORGED_PATH)

    [line] = parsed(printed())
    assert line["path"].isprintable()


@on_sqlite
@json_lines
async def test_an_error_is_one_line_with_its_trace_and_request(
    app: FastAPI, client: AsyncClient, printed: Printed
) -> None:
    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("it broke")

    response = await client.get("/broken")

    error, _ = parsed(printed())
    assert (error["event"], error["level"]) == ("unhandled_error", "error")
    assert error["request_id"] == response.headers["x-request-id"]
    assert "RuntimeError: it broke" in error["exception"]


@on_sqlite
@in_each_format
async def test_a_trace_shows_no_local_variables(
    app: FastAPI, client: AsyncClient, printed: Printed, log_format: str
) -> None:
    """ER3: a password is a local variable somewhere."""
    canary = "canary-password"

    @app.get("/broken")
    async def broken() -> None:
        password = canary
        raise RuntimeError(f"it broke {len(password)}")

    await client.get("/broken")

    output = "\n".join(printed())
    assert "it broke 15" in output
    assert "canary-password" not in output


@pytest.mark.settings(LOG_LEVEL="DEBUG")
async def test_the_debug_level_logs_no_values_of_statements(api: Api, printed: Printed) -> None:
    """ER3: neither a password hash nor an email address."""
    await register(api)

    output = "\n".join(printed())
    assert "action=register" in output
    assert "$argon2id" not in output
    assert "canary@example.com" not in output


@on_sqlite
@pytest.mark.settings(LOG_JSON=True, ACCESS_LOG=False)
async def test_requests_are_not_logged_with_access_log_off(
    client: AsyncClient, printed: Printed
) -> None:
    await client.get("/health/live")

    assert parsed(printed()) == []


@on_sqlite
@pytest.mark.settings(LOG_JSON=True, LOG_LEVEL="WARNING")
async def test_events_below_the_level_are_not_logged(client: AsyncClient, printed: Printed) -> None:
    await client.get("/health/live")

    assert parsed(printed()) == []


@on_sqlite
@pytest.mark.settings(
    ENVIRONMENT="production",
    RATE_LIMIT_ENABLED=True,
    ARGON2_MEMORY_KIB=19_456,
    ARGON2_TIME_COST=2,
)
async def test_production_logs_json(client: AsyncClient, printed: Printed) -> None:
    await client.get("/health/live")

    assert [line["event"] for line in parsed(printed())] == ["request"]


@on_sqlite
async def test_other_environments_log_text(client: AsyncClient, printed: Printed) -> None:
    await client.get("/health/live")

    assert not any(line.startswith("{") for line in printed())


@on_sqlite
@json_lines
async def test_a_record_of_a_library_has_the_same_format(
    client: AsyncClient, printed: Printed
) -> None:
    logging.getLogger("some.library").warning("took %s s", 3)
    structlog.get_logger("app.ours").warning("late", seconds=3)

    foreign, own = (json.loads(line) for line in printed())
    assert foreign["event"] == "took 3 s"
    assert foreign.keys() | {"seconds"} == own.keys()


@on_sqlite
@json_lines
def test_a_server_with_its_own_handlers_logs_in_the_same_format(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    logging.config.dictConfig(LOGGING_CONFIG)
    configure_logging(settings)

    logging.getLogger("uvicorn.error").info("Application startup complete.")
    logging.getLogger("uvicorn.access").info("GET /?token=canary")
    logging.getLogger("uvicorn.error").info('%s - "WebSocket %s" 403', "a:1", "/?token=canary")

    printed = capsys.readouterr()
    [line] = [json.loads(line) for line in printed.out.splitlines()]
    assert line["event"] == "Application startup complete."
    assert printed.err == ""


class _Thing:
    def __repr__(self) -> str:
        return "a thing"


@json_lines
@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("\u00e9t\u00e9", "\u00e9t\u00e9"),
        ("\x00\x1b\u2028", "\x00\x1b\u2028"),
        ("a lone surrogate: \ud800", "a lone surrogate: \ud800"),
        (b"\xff", "b'\\xff'"),
        (_Thing(), "a thing"),
        (10**40, 10**40),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
    ],
    ids=str,
)
def test_every_value_becomes_json_of_ascii_characters(
    settings: Settings, capsys: pytest.CaptureFixture[str], value: object, written: object
) -> None:
    """The terminal or the file may know no other characters: the line must not be lost."""
    configure_logging(settings)

    structlog.get_logger("mscr.test").warning("found", value=value)

    [line] = capsys.readouterr().out.splitlines()
    assert line.isascii()
    assert json.loads(line)["value"] == written


@json_lines
@pytest.mark.parametrize("fraction", ["000000", "000001", "999999"])
def test_a_time_has_all_its_microseconds(
    settings: Settings, capsys: pytest.CaptureFixture[str], fraction: str
) -> None:
    configure_logging(settings)
    with time_machine.travel(f"2026-01-02T03:04:05.{fraction}Z", tick=False):
        structlog.get_logger("mscr.test").warning("found")

    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line)["timestamp"] == f"2026-01-02T03:04:05.{fraction}Z"
