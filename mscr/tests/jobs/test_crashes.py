"""Processes that are killed (SIGKILL) between a commit and the end of its job lose no mail."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from examples.catalogue.project import project
from mscr.models.base import utcnow
from mscr.testing.api import PASSWORD
from mscr.testing.mail_registration import REGISTER
from mscr.testing.mail_server import MailServer, mail_server
from mscr.testing.processes import AppProcess, app_processes
from mscr.testing.waiting import connection_to, until
from mscr.tests.support.paths import CLI

EMAIL = "ada@example.com"


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as found:
        yield found


def by_mail(server: MailServer, **settings: str) -> dict[str, Any]:
    return {"REGISTRATION_BY_MAIL": "true", "SMTP_URL": server.url, **settings}


async def ask(process: AppProcess) -> None:
    async with process.client() as client:
        response = await client.post(REGISTER, json={"email": EMAIL, "password": PASSWORD})
    assert response.status_code == 202, process.log


async def run_statement(url: str, statement: str, **values: Any) -> Any:
    async with connection_to(url) as connection:
        result = await connection.execute(text(statement), values)
        return result.scalar() if result.returns_rows else None


async def delivered(database_url: str, server: MailServer) -> list[str]:
    """Start a new process, and return the Message-IDs that arrived once the outbox is empty."""
    # The lease of the dead process ends.
    await run_statement(database_url, "UPDATE jobs SET due_at = :now", now=utcnow())

    async def is_empty() -> bool:
        return not await run_statement(database_url, "SELECT count(*) FROM jobs")

    settings = by_mail(server, JOBS_POLL_SECONDS="0.1")
    with app_processes(project, 1, database_url, **settings):
        await until(is_empty)
    mails = [await server.next() for _ in range(server.waiting)]
    assert {mail.recipients[0] for mail in mails} == {EMAIL}
    return [str(mail.message["Message-ID"]) for mail in mails]


async def test_a_mail_whose_process_dies_before_its_delivery_arrives(
    database_url: str, server: MailServer
) -> None:
    """RL15."""
    settings = by_mail(server, JOBS_IN_PROCESS="false")
    with app_processes(project, 1, database_url, **settings) as [process]:
        await ask(process)
        process.kill()
    assert server.waiting == 0

    assert len(await delivered(database_url, server)) == 1


async def test_a_mail_whose_process_dies_during_its_delivery_arrives(
    database_url: str, server: MailServer
) -> None:
    """RL15: twice at most, with one Message-ID."""
    server.may_answer.clear()
    with app_processes(project, 1, database_url, **by_mail(server)) as [process]:
        await ask(process)
        await server.begun.wait()
        process.kill()
    server.may_answer.set()

    assert len(set(await delivered(database_url, server))) == 1


async def test_a_mail_whose_process_dies_after_its_delivery_arrives_with_the_same_message_id(
    database_url: str, server: MailServer
) -> None:
    """RL15: the process dies before it deletes the job."""
    mortal = "mscr.tests.support.dies_before_job_ends:app"
    with app_processes(project, 1, database_url, app=mortal, **by_mail(server)) as [process]:
        await ask(process)

        async def is_gone() -> bool:
            return not process._process.is_alive()

        # Not `wait_until_gone`: the mail server runs in this event loop.
        await until(is_gone)

    found = await delivered(database_url, server)
    assert len(found) == 2
    assert len(set(found)) == 1


async def test_a_worker_delivers_what_others_have_added_until_sigterm(
    database_url: str, server: MailServer
) -> None:
    settings = by_mail(server, JOBS_IN_PROCESS="false", JOBS_POLL_SECONDS="0.1")
    with app_processes(project, 1, database_url, **settings) as [process]:
        await ask(process)
        worker = await asyncio.create_subprocess_exec(
            *CLI,
            "worker",
            env=os.environ | settings | {"DATABASE_URL": database_url},
            cwd=project.import_root,
        )
        mail = await server.next()

        async def is_empty() -> bool:
            return not await run_statement(database_url, "SELECT count(*) FROM jobs")

        # Shutdown gives a running job 2.5 s, which a busy machine exceeds.
        await until(is_empty)
        worker.terminate()

        assert await worker.wait() == 0
    assert mail.recipients == [EMAIL]
    assert await run_statement(database_url, "SELECT count(*) FROM jobs") == 0
