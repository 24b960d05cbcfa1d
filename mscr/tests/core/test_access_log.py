"""The access log: its lines are those of structlog's loggers, and as complete."""

import io
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TextIO

import pytest
import structlog
from fastapi import APIRouter, FastAPI
from httpx2 import AsyncClient
from structlog.testing import capture_logs

from mscr.core.access_log import AccessLog
from mscr.core.logging import LineFormatter
from mscr.testing.databases import on_sqlite
from mscr.tests.core.test_logging import in_each_format, json_lines

pytestmark = on_sqlite

NAME: Final = "mscr.http.middleware"
OWN: Final = logging.getLogger(NAME)
LIVE: Final = "/health/live"

Handler = logging.StreamHandler[TextIO]


@pytest.fixture
def handler(app: FastAPI) -> Handler:
    [found] = [h for h in logging.root.handlers if isinstance(h.formatter, LineFormatter)]
    assert isinstance(found, logging.StreamHandler)
    found.setStream(io.StringIO())
    return found


@pytest.fixture
def alone(handler: Handler, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that removes pytest's handlers, which it adds after the fixtures."""
    monkeypatch.setattr(logging.getLogger("httpx2"), "disabled", True)
    return lambda: monkeypatch.setattr(logging.root, "handlers", [handler])


def lines(handler: Handler) -> list[str]:
    assert isinstance(handler.stream, io.StringIO)
    return handler.stream.getvalue().splitlines()


def only_line(handler: Handler) -> dict[str, Any]:
    [line] = [json.loads(line) for line in lines(handler) if NAME in line]
    assert isinstance(line, dict)
    return line


@in_each_format
async def test_lines_are_those_of_structlog(
    client: AsyncClient, handler: Handler, alone: Callable[[], None], log_format: str
) -> None:
    identity = {"X-Request-ID": "the-same-request"}
    alone()
    await client.get(LIVE, headers=identity)
    logging.root.addHandler(logging.NullHandler())
    await client.get(LIVE, headers=identity)

    ours, structlogs = (without_times(line) for line in lines(handler) if NAME in line)
    assert "the-same-request" in ours
    assert ours == structlogs


def without_times(line: str) -> str:
    """Return the line without its timestamp and the figure of its duration."""
    return re.sub(r"[-\dT:.]+Z|(duration_ms\W+)[\d.]+", r"\1", line)


@json_lines
async def test_lines_to_a_file_have_the_fields_of_structlogs(
    app: FastAPI,
    client: AsyncClient,
    handler: Handler,
    alone: Callable[[], None],
    tmp_path: Path,
) -> None:
    @app.get("/binding/{what}")
    async def bind(what: str) -> None:
        structlog.contextvars.bind_contextvars(
            **{"a key": what, "numbers": [1, None]}, path="bound", level="bound"
        )

    file = tmp_path / "log"
    alone()
    with file.open("w", encoding="utf-8") as stream:
        handler.setStream(stream)
        for _ in range(2):
            for path in ("/binding/%22quoted%22%0a%C3%A9", "/nothing/%22%5C%80"):
                await client.get(path, headers={"X-Request-ID": "the-same-request"})
            logging.root.addHandler(logging.NullHandler())

    text = file.read_text()
    assert text.count('"path"') == text.count('"level"') == 4
    found = [json.loads(line) for line in text.splitlines() if NAME in line]
    assert len(found) == 4
    for line in found:
        assert line.pop("timestamp")
        assert line.pop("duration_ms") > 0
    assert found[:2] == found[2:]
    assert found[0]["a key"] == '"quoted"\né'


@json_lines
@pytest.mark.parametrize("stream", [io.TextIOWrapper(io.BytesIO()), None], ids=["memory", "utf-16"])
async def test_a_stream_that_does_not_take_ascii_gets_its_own_encoding(
    client: AsyncClient,
    handler: Handler,
    alone: Callable[[], None],
    tmp_path: Path,
    stream: io.TextIOWrapper | None,
) -> None:
    file = tmp_path / "log"
    alone()
    with stream or file.open("w+", encoding="utf-16") as opened:
        handler.setStream(opened)
        await client.get(LIVE)
        opened.seek(0)

        assert json.loads(opened.read())["path"] == LIVE


@json_lines
async def test_a_line_that_is_written_in_part_is_completed(
    client: AsyncClient,
    handler: Handler,
    alone: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """As by a signal while a pipe is full."""
    write, file = os.write, tmp_path / "log"
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:10]))
    alone()
    with file.open("w") as stream:
        handler.setStream(stream)
        await client.get(LIVE)

    assert json.loads(file.read_text())["path"] == LIVE


@json_lines
async def test_a_line_has_what_was_bound_to_the_context(
    app: FastAPI, client: AsyncClient, handler: Handler, alone: Callable[[], None]
) -> None:
    @app.get("/binding")
    async def bind() -> None:
        structlog.contextvars.bind_contextvars(tenant={1})

    alone()
    await client.get("/binding")

    assert only_line(handler)["tenant"] == [1]


@json_lines
@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/api/v1/items/00000000-0000-0000-0000-000000000000", "/api/v1/items/{public_id}"),
        ("HEAD", LIVE, LIVE),
        ("PUT", "/api/v1/items", "/api/v1/items"),
        ("GET", "/nothing", None),
        ("GET", "/second/nested/a/b", "/second/nested/{rest}"),
        ("GET", "/mounted/at%0ahome/inner/3", r"/mounted/at\nhome/inner/{number}"),
        ("GET", "/mounted/x/nothing", None),
        ("GET", "/docs-assets/swagger-ui.css", None),
    ],
)
async def test_a_line_has_the_template_of_its_route(
    app: FastAPI, client: AsyncClient, handler: Handler, method: str, path: str, route: str | None
) -> None:
    """ER4: only a mount's path may have text of the client."""
    nested, inner = APIRouter(), FastAPI()
    nested.add_api_route("/nested/{rest:path}", lambda: None)
    inner.add_api_route("/inner/{number}", lambda: None)
    app.include_router(nested, prefix="/first")
    app.include_router(nested, prefix="/second")
    app.mount("/mounted/{place}", inner)

    await client.request(method, path)

    line = only_line(handler)
    assert (line["method"], line["route"]) == (method, route)


@json_lines
@pytest.mark.parametrize("logger", [OWN, logging.root], ids=["own", "root"])
async def test_another_handler_gets_a_record_of_each_request(
    client: AsyncClient, handler: Handler, alone: Callable[[], None], logger: logging.Logger
) -> None:
    alone()
    other = logging.StreamHandler(io.StringIO())
    logger.addHandler(other)
    try:
        await client.get(LIVE)
    finally:
        logger.removeHandler(other)

    assert "'path': '/health/live'" in other.stream.getvalue()
    assert only_line(handler)["path"] == LIVE


class Collector(logging.StreamHandler[TextIO]):
    def __init__(self) -> None:
        super().__init__(io.StringIO())
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


async def test_a_handler_of_another_class_gets_records(
    client: AsyncClient, handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = Collector()
    collector.setFormatter(handler.formatter)
    monkeypatch.setattr(logging.root, "handlers", [collector])
    await client.get(LIVE)

    assert NAME in [record.name for record in collector.records]


@pytest.fixture(params=["logger", "handler"])
def filtered(request: pytest.FixtureRequest, handler: Handler) -> Iterator[None]:
    def refuse(_record: logging.LogRecord) -> bool:
        return False

    filterer = OWN if request.param == "logger" else handler
    filterer.addFilter(refuse)
    yield
    filterer.removeFilter(refuse)


@json_lines
@pytest.mark.usefixtures("filtered")
async def test_a_filter_can_drop_lines(
    client: AsyncClient, handler: Handler, alone: Callable[[], None]
) -> None:
    alone()
    await client.get(LIVE)

    assert lines(handler) == []


@json_lines
async def test_a_logger_that_does_not_propagate_writes_nothing(
    client: AsyncClient,
    handler: Handler,
    alone: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(OWN, "propagate", False)
    alone()
    await client.get(LIVE)

    assert lines(handler) == []


@json_lines
@pytest.mark.parametrize("of_the_handler", [True, False])
async def test_a_higher_level_drops_lines(
    client: AsyncClient,
    handler: Handler,
    alone: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    *,
    of_the_handler: bool,
) -> None:
    monkeypatch.setattr(handler if of_the_handler else logging.root, "level", logging.WARNING)
    monkeypatch.setattr(OWN, "_cache", {})
    alone()
    await client.get(LIVE)

    assert lines(handler) == []


@json_lines
async def test_a_formatter_of_the_applications_own_is_used(
    client: AsyncClient, handler: Handler, alone: Callable[[], None]
) -> None:
    handler.setFormatter(logging.Formatter("mine: %(message)s"))
    alone()
    await client.get(LIVE)

    assert lines(handler)[0].startswith("mine: ")


async def test_a_test_can_capture_the_line(client: AsyncClient, alone: Callable[[], None]) -> None:
    alone()
    with capture_logs() as events:
        await client.get(LIVE)

    assert [event["path"] for event in events] == [LIVE]


@json_lines
async def test_a_line_is_in_a_file_as_soon_as_the_response(
    client: AsyncClient, handler: Handler, alone: Callable[[], None], tmp_path: Path
) -> None:
    """A process that is killed next loses nothing."""
    file = tmp_path / "log"
    alone()
    with file.open("w") as stream:
        handler.setStream(stream)
        await client.get(LIVE)
        line = json.loads(file.read_text())

    assert line["path"] == LIVE


@pytest.fixture
def full_disk() -> Iterator[TextIO]:
    with Path("/dev/full").open("w") as opened:
        yield opened


class FullDisk(io.StringIO):
    def write(self, _text: str, /) -> int:
        raise OSError(28, "No space left on device")


@json_lines
@pytest.mark.parametrize("is_file", [True, False])
async def test_a_line_that_cannot_be_written_fails_no_request(
    client: AsyncClient,
    handler: Handler,
    alone: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    full_disk: TextIO,
    *,
    is_file: bool,
) -> None:
    error = io.StringIO()
    alone()
    monkeypatch.setattr(sys, "stderr", error)
    with full_disk if is_file else FullDisk() as stream:
        handler.setStream(stream)
        response = await client.get(LIVE)

    assert response.status_code == 200
    assert "No space left on device" in error.getvalue()


@json_lines
def test_lines_of_several_threads_are_complete(
    handler: Handler, alone: Callable[[], None], tmp_path: Path
) -> None:
    """With lines of other loggers between them."""
    file = tmp_path / "log"
    alone()
    loggers = [AccessLog(NAME).write, structlog.get_logger("app.other").info]
    with file.open("w") as stream, ThreadPoolExecutor(4) as threads:
        handler.setStream(stream)
        for number in range(400):
            threads.submit(loggers[number % 2], "request", number=number, filler="x" * 200)
        threads.shutdown()

    written = [json.loads(line)["number"] for line in file.read_text().splitlines()]
    assert sorted(written) == list(range(400))
