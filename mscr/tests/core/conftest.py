import io
import logging
from collections.abc import Callable

import pytest
import structlog
from fastapi import FastAPI
from structlog.stdlib import ProcessorFormatter

Printed = Callable[[], list[str]]


@pytest.fixture
def printed(app: FastAPI) -> Printed:
    """Return a function that returns the lines the application's log handler has printed so far."""
    output = io.StringIO()
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, ProcessorFormatter):
            assert isinstance(handler, logging.StreamHandler)
            handler.setStream(output)
    return lambda: output.getvalue().splitlines()


@pytest.fixture(autouse=True)
def _default_logging() -> None:
    """Reset the log level: an earlier test's application may have set one that drops warnings."""
    structlog.reset_defaults()
