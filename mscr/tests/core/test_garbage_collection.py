import asyncio
import gc
import runpy
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import Message

from examples.catalogue.core.config import Settings
from examples.catalogue.main import create_app
from mscr.lifespan import process_lifespan
from mscr.tests.support.paths import REPOSITORY


@pytest.fixture
def untuned() -> Iterator[None]:
    """Restore Python's default collector settings, which the tests' own replace."""
    thresholds = gc.get_threshold()
    gc.unfreeze()
    gc.set_threshold(700, 10, 10)
    yield
    gc.freeze()
    gc.set_threshold(*thresholds)


@pytest.mark.usefixtures("untuned")
async def test_a_server_process_collects_rarely_and_skips_objects_of_its_start(
    settings: Settings,
) -> None:
    async with process_lifespan(create_app(settings)):
        assert gc.get_threshold() == (50_000, 20, 50)
        assert gc.get_freeze_count() > 0


@pytest.mark.usefixtures("untuned")
def test_a_server_collects_rarely_while_it_loads() -> None:
    runpy.run_path(str(REPOSITORY / "examples/catalogue/__main__.py"))

    assert gc.get_threshold() == (50_000, 20, 50)


async def test_a_request_leaves_no_reference_cycles(app: FastAPI) -> None:
    """A reference cycle would keep each request until a collection, which pauses all requests."""
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/health/live",
        "raw_path": b"/health/live",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"testserver")],
        "client": ("127.0.0.1", 1),
        "server": ("t", 80),
    }

    async def receive() -> Message:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    async def send(_: Message) -> None: ...

    async def ask(times: int) -> None:
        for _ in range(times):
            await asyncio.create_task(app({**scope, "state": {}}, receive, send))

    await ask(10)
    gc.collect()
    gc.disable()
    try:
        await ask(100)
        found = gc.collect()
    finally:
        gc.enable()

    assert found < 100
