"""What the tests of the API share beyond the application itself."""

import pytest
from fastapi import FastAPI

from tests.support.api import Api
from tests.support.bodies import BodySender


@pytest.fixture
async def sender(api: Api, app: FastAPI) -> BodySender:
    return await BodySender.create(api, app)
