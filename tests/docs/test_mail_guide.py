"""docs/mail.md: its mail arrives, and its example values are sufficient."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from textwrap import indent
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr

from app.core.config import PROJECT_ROOT, Settings
from app.db.session import Database
from mscr.jobs.outbox import Outbox
from mscr.mail.templates import MailTemplates
from mscr.repositories.job_repository import JobRepository
from mscr.testing.mail_server import MailServer, mail_server
from tests.docs.markdown import code_blocks
from tests.docs.recipe import type_block

PAGE = PROJECT_ROOT / "docs/mail.md"
BLOCKS = code_blocks(PAGE)


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as found:
        yield found


@pytest.fixture
def settings(settings: Settings, server: MailServer) -> Settings:
    return settings.model_copy(update={"SMTP_URL": SecretStr(server.url)})


@pytest.fixture
def mails(tmp_path: Path, settings: Settings) -> MailTemplates:
    """Return the project's mails and those of the page."""
    shutil.copytree(PROJECT_ROOT / "app/mail", tmp_path / "app/mail")
    for block in BLOCKS:
        if block.language in {"jinja", "toml"}:
            type_block(block.code, tmp_path)
    return MailTemplates(tmp_path / "app/mail", settings)


def test_every_block_has_an_expected_language() -> None:
    assert [block.language for block in BLOCKS] == ["jinja", "toml", "python"]


def test_the_mail_can_be_rendered_with_its_example_values(mails: MailTemplates) -> None:
    assert "item_archived" in mails.names()
    assert mails.faults() == {}


async def test_the_mail_arrives_as_text_and_as_html(
    mails: MailTemplates,
    settings: Settings,
    app: FastAPI,
    client: AsyncClient,
    database: Database,
    server: MailServer,
) -> None:
    [code] = [block.code for block in BLOCKS if block.language == "python"]
    written: dict[str, Any] = {}
    exec(f"async def send(mails, outbox, owner, item):\n{indent(code, '    ')}", written)  # noqa: S102  # the page is ours
    owner = SimpleNamespace(email="ada@example.com", full_name=None)
    item = SimpleNamespace(title="A <lamp>", public_id="01a23430")
    async with database.sessions() as session:
        repo = JobRepository(session, database.tables)
        await written["send"](mails, Outbox(repo, app.state.collaborators.encryption), owner, item)
        await session.commit()
    await app.state.jobs.join()

    mail = await server.next()
    assert mail.message["Subject"] == "A <lamp> is archived"
    link = f"{settings.public_url}/archive/01a23430"
    assert f"Open the archive:\n{link}\n" in mail.text
    assert "A &lt;lamp&gt;" in mail.html
    assert f'href="{link}"' in mail.html
