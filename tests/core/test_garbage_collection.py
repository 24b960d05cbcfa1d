import gc
from collections.abc import Iterator

import pytest

from app.core.config import Settings
from app.main import create_app, process_lifespan


@pytest.fixture
def restored() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


@pytest.mark.usefixtures("restored")
async def test_a_server_s_process_collects_rarely_and_not_what_it_started_with(
    settings: Settings,
) -> None:
    async with process_lifespan(create_app(settings)):
        assert gc.get_threshold() == (50_000, 20, 50)
        assert gc.get_freeze_count() > 0
