import gc
import runpy
from collections.abc import Iterator

import pytest

from app.core.config import PROJECT_ROOT, Settings
from app.main import create_app, process_lifespan


@pytest.fixture
def untuned() -> Iterator[None]:
    """The collector as Python has it, and not as the tests do."""
    thresholds = gc.get_threshold()
    gc.unfreeze()
    gc.set_threshold(700, 10, 10)
    yield
    gc.freeze()
    gc.set_threshold(*thresholds)


@pytest.mark.usefixtures("untuned")
async def test_a_server_s_process_collects_rarely_and_not_what_it_started_with(
    settings: Settings,
) -> None:
    async with process_lifespan(create_app(settings)):
        assert gc.get_threshold() == (50_000, 20, 50)
        assert gc.get_freeze_count() > 0


@pytest.mark.usefixtures("untuned")
def test_a_server_collects_rarely_while_it_loads_too() -> None:
    runpy.run_path(str(PROJECT_ROOT / "cli.py"))

    assert gc.get_threshold() == (50_000, 20, 50)
