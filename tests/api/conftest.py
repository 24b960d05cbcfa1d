"""What the tests of the API share beyond the application itself."""

import io
import logging

import pytest
from fastapi import FastAPI

from tests.support.api import Api
from tests.support.bodies import BodySender


@pytest.fixture
async def sender(api: Api, app: FastAPI) -> BodySender:
    return await BodySender.create(api, app)


@pytest.fixture
def log_output(app: FastAPI) -> io.StringIO:
    """What the application's own handler writes from now on, as it would on standard output."""
    output = io.StringIO()
    [handler] = [h for h in logging.getLogger().handlers if type(h) is logging.StreamHandler]
    handler.setStream(output)
    return output
