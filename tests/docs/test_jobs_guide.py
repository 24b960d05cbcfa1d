"""docs/jobs.md: its schedule runs in the application of this project, and its mail arrives."""

import sys
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from app.core.config import PROJECT_ROOT, Settings
from app.db.session import Database
from mscr.testing.mail_server import MailServer, mail_server
from tests.docs.markdown import code_blocks

BLOCKS = code_blocks(PROJECT_ROOT / "docs/jobs.md")
MODULE = "app.services.daily_report"
IMPORTS = f"""from datetime import time
from {MODULE} import DAILY_REPORT
from mscr.jobs.schedule import daily
"""
LAST_ARGUMENT = "        dialect=DIALECT,\n"


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as found:
        yield found


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the job of the page, in the module that the page names."""
    [code] = [block.code for block in BLOCKS if block.code.startswith("# app/services/")]
    module = ModuleType(MODULE)
    exec(code, module.__dict__)  # noqa: S102  # our own page
    monkeypatch.setitem(sys.modules, MODULE, module)
    return module.DAILY_REPORT


def changed_main() -> dict[str, Any]:
    """Return the names of `app/main.py` with the schedule of the page."""
    [line] = [block.code for block in BLOCKS if block.code.startswith("# app/main.py")]
    heading, argument = line.split("\n", 1)
    assert heading == "# app/main.py (add to install())"
    path = PROJECT_ROOT / "app/main.py"
    text = path.read_text()
    if "schedules=" in text:
        pytest.skip(f"the project has its own schedules in {path}")
    before, found, after = text.partition(LAST_ARGUMENT)
    assert found, f"{path} has no {LAST_ARGUMENT.strip()}"
    made: dict[str, Any] = {"__name__": "main"}
    exec(IMPORTS + before + found + argument + after, made)  # noqa: S102  # our own page
    return made


def test_every_block_has_an_expected_language() -> None:
    assert [block.language for block in BLOCKS] == ["python", "python", "bash"]


async def test_the_report_of_the_page_runs_for_its_tick_and_its_mail_arrives(
    app: FastAPI,  # creates the tables
    settings: Settings,
    server: MailServer,
    job: Any,
) -> None:
    mine = settings.model_copy(update={"SMTP_URL": SecretStr(server.url)})
    made = changed_main()["create_app"](mine, Database(mine))
    async with made.router.lifespan_context(made):
        await made.state.jobs.run_now(job)

    mail = await server.next()
    [schedule] = made.state.schedules
    assert schedule.rule == "daily 06:30:00"
    assert mail.message["Subject"] == "Daily report"
    assert "had 0 accounts on " in mail.text
    assert server.waiting == 0
