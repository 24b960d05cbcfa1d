import io
import logging
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from structlog.stdlib import ProcessorFormatter

Printed = Callable[[], list[str]]


@pytest.fixture
def printed(app: FastAPI) -> Printed:
    """The lines that the application's handler has printed since it started."""
    output = io.StringIO()
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, ProcessorFormatter):
            assert isinstance(handler, logging.StreamHandler)
            handler.setStream(output)
    return lambda: output.getvalue().splitlines()
