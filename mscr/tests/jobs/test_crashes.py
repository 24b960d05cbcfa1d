"""Processes that are killed (SIGKILL) between a commit and the end of its job lose no mail."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import pytest
from sqlalchemy import text

from examples.catalogue.project import project
from mscr.models.base import utcnow
from mscr.testing.api import PASSWORD
from mscr.testing.mail_registration import REGISTER
from mscr.testing.mail_server import Delivery, MailServer, mail_server
from mscr.testing.processes import AppProcess, app_processes
from mscr.testing.waiting import connection_to, until
from mscr.tests.support.mortal_processes import FIRST, Step
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


async def all_mails(database_url: str, server: MailServer, **settings: str) -> list[Delivery]:
    """Start a new process, and return the mails that have arrived once the outbox is empty."""
    # The leases of dead processes end.
    await run_statement(database_url, "UPDATE jobs SET due_at = :now", now=utcnow())

    async def is_empty() -> bool:
        return not await run_statement(database_url, "SELECT count(*) FROM jobs")

    options = by_mail(server, JOBS_POLL_SECONDS="0.1", **settings)
    with app_processes(project, 1, database_url, **options):
        await until(is_empty)
    return [await server.next() for _ in range(server.waiting)]


async def delivered(database_url: str, server: MailServer) -> list[str]:
    """Return the Message-IDs of the mails that have arrived once the outbox is empty."""
    mails = await all_mails(database_url, server)
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


# The mails that arrive, by the step at which their process died first.
MAILS: Final = {
    Step.COMMITTING: [0],
    Step.COMMITTED: [1],
    Step.SEARCHING: [1],
    Step.CLAIMING: [1],
    Step.CLAIMED: [1],
    # The server keeps the first one, or notices that its client is gone.
    Step.SENDING: [1, 2],
    Step.SENT: [2],
    Step.ENDING: [2],
    Step.ENDED: [1],
}
ROUNDS: Final = 20


async def die_at(mortal: Process, step: Step, email: str, server: MailServer) -> int:
    """Send a mail in a process that dies at this step, and return its exit status."""
    assert mortal.stdin is not None
    assert mortal.stdout is not None
    if step is Step.SENDING:
        server.may_answer.clear()
        server.begun.clear()
    mortal.stdin.write(f"{step.value} {email}\n".encode())
    process_id = int(await mortal.stdout.readline())
    if step is Step.SENDING:
        await server.begun.wait()
        os.kill(process_id, signal.SIGKILL)
    status = int(await mortal.stdout.readline())
    server.may_answer.set()
    return status


@pytest.fixture(params=["alone", "engine"])
def engine(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return settings without and with an engine."""
    if request.param == "alone":
        return {}
    valkey = request.getfixturevalue("valkey")
    return {"JOBS_ENGINE_URL": valkey.url}


@pytest.mark.timeout(300)  # under two minutes on a busy machine
async def test_mails_of_processes_that_die_at_any_step_arrive_with_one_message_id(
    database_url: str, server: MailServer, engine: dict[str, str]
) -> None:
    """RL15: twenty processes die at each step. A cause that is not committed sends no mail."""
    mortal = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mscr.tests.support.mortal_processes"),
        # A search finds the job whose message was given to a process that had just died.
        env=os.environ
        | by_mail(server, JOBS_POLL_SECONDS="2", **engine)
        | {"DATABASE_URL": database_url},
        cwd=project.import_root,
        stdin=PIPE,
        stdout=PIPE,
    )
    statuses = set()
    for step in Step:
        for number in range(ROUNDS):
            email = f"{step.value}-{number}@example.com"
            statuses.add(await die_at(mortal, step, email, server))
            # The next process does not take the job, so that each dies at a step of its own.
            tomorrow = utcnow() + timedelta(days=1)
            await run_statement(database_url, "UPDATE jobs SET due_at = :at", at=tomorrow)
    assert mortal.stdin is not None
    mortal.stdin.close()
    assert await mortal.wait() == 0
    found: dict[str, list[str]] = defaultdict(list)
    for mail in await all_mails(database_url, server, **engine):
        found[mail.recipients[0]].append(str(mail.message["Message-ID"]))

    assert statuses == {-signal.SIGKILL}
    assert len(found.pop(FIRST)) == 1
    for step, counts in MAILS.items():
        mails = [found.pop(f"{step.value}-{number}@example.com", []) for number in range(ROUNDS)]
        assert all(len(ids) in counts for ids in mails), step
        assert all(len(set(ids)) <= 1 for ids in mails), step
    assert not found


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
