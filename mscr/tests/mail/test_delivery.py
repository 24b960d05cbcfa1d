"""Mails that wait in the outbox: mail servers that are away, slow or refuse, and shutdown."""

import asyncio
import io
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import select, update

from examples.catalogue.core.config import Settings
from examples.catalogue.db.session import Database
from examples.catalogue.main import create_app
from examples.catalogue.models import Job
from mscr.jobs.job import Job as KitJob
from mscr.jobs.mails import SEND_MAIL
from mscr.jobs.outbox import Outbox
from mscr.models.base import utcnow
from mscr.repositories.job_repository import JobRepository
from mscr.testing.api import PASSWORD
from mscr.testing.applications import client_from
from mscr.testing.databases import on_sqlite
from mscr.testing.mail_registration import LINK, REGISTER
from mscr.testing.mail_server import MailServer
from mscr.testing.waiting import PATIENCE, until
from mscr.tests.mail.api import MailApi

pytestmark = on_sqlite

EMAIL = "canary@example.com"
# No server listens on port 1 (tcpmux).
AWAY = "smtp://127.0.0.1:1"
FIRST, SECOND = "first@example.com", "second@example.com"


async def logged(log_output: io.StringIO, event: str) -> str:
    """Wait for the log line of an event and return it."""
    async with asyncio.timeout(PATIENCE.total_seconds()):
        while True:
            lines = [line for line in log_output.getvalue().splitlines() if f" {event} " in line]
            if lines:
                return lines[-1]
            await asyncio.sleep(0.01)


async def jobs_in(database: Database) -> list[Job]:
    async with database.read_sessions() as session:
        return [*await session.scalars(select(Job).order_by(Job.id))]


async def make_due(app: FastAPI, database: Database) -> None:
    """Try again now what would be tried later."""
    await app.state.jobs.join()
    async with database.sessions() as session:
        await session.execute(update(Job).values(due_at=utcnow()))
        await session.commit()
    await app.state.jobs.join()


@pytest.mark.settings(SMTP_URL=AWAY)
async def test_an_unreachable_mail_server_is_logged_and_the_mail_waits(
    api: MailApi, app: FastAPI, database: Database, log_output: io.StringIO
) -> None:
    """ER3: the log line has the request's id, but not the address or the link."""
    assert (await api.ask(EMAIL)).status_code == 202
    await app.state.jobs.join()

    line = await logged(log_output, "mail_not_sent")
    assert "error=SMTPConnectError" in line
    assert "request_id=the-same-for-all" in line
    assert "error=SMTPConnectError" in await logged(log_output, "job_failed")
    assert [word for word in ("canary", "token") if word in log_output.getvalue()] == []
    [job] = await jobs_in(database)
    assert (job.dead_at, job.fault) == (None, "SMTPConnectError")


async def test_a_mail_server_that_is_away_gets_exactly_one_mail_later(
    api: MailApi, app: FastAPI, database: Database, server: MailServer
) -> None:
    """RL15."""
    server.refusal = "451 try again later"
    await api.ask(EMAIL)
    await make_due(app, database)
    server.refusal = None

    await make_due(app, database)
    await make_due(app, database)

    assert (await server.next()).recipients == [EMAIL]
    assert server.waiting == 0
    assert await jobs_in(database) == []


async def test_every_attempt_has_the_same_message_id(
    api: MailApi, app: FastAPI, database: Database, server: MailServer
) -> None:
    """Receivers deduplicate by it, if a process dies after the delivery (RFC 5322 §3.6.4)."""
    server.loses_replies = True
    await api.ask(EMAIL)
    await app.state.jobs.join()
    server.loses_replies = False
    await make_due(app, database)

    found = {(await server.next()).message["Message-ID"] for _ in range(2)}
    assert len(found) == 1
    assert server.waiting == 0


async def test_a_refused_mail_is_dead_and_logged_without_the_reply_of_the_server(
    api: MailApi, app: FastAPI, database: Database, log_output: io.StringIO
) -> None:
    """ER3: mail servers repeat the refused address in their replies."""
    api.server.refusal = f"550 no such mailbox: <{EMAIL}>"

    assert (await api.ask(EMAIL)).status_code == 202
    await app.state.jobs.join()

    assert "error=MailRefusedError" in await logged(log_output, "mail_not_sent")
    assert "canary" not in log_output.getvalue()
    [job] = await jobs_in(database)
    assert job.dead_at is not None


@pytest.mark.parametrize(
    ("reply", "is_dead"), [("550 no such mailbox", True), ("450 mailbox busy", False)]
)
async def test_a_refused_recipient_is_tried_again_only_if_that_can_help(
    api: MailApi, app: FastAPI, database: Database, reply: str, is_dead: bool
) -> None:
    api.server.recipient_refusal = reply
    await api.ask(EMAIL)
    await app.state.jobs.join()

    [job] = await jobs_in(database)
    assert (job.dead_at is not None) == is_dead


@pytest.mark.settings(JOBS_IN_PROCESS=False)
async def test_a_process_that_runs_no_jobs_leaves_the_mail_to_a_worker(
    api: MailApi, app: FastAPI, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setattr(app.state.jobs, "wake", lambda: started.append("a search"))
    await api.ask(EMAIL)

    assert started == []
    [job] = await jobs_in(database)
    assert (job.attempts, job.dead_at) == (0, None)


@pytest.mark.settings(SMTP_TIMEOUT_SECONDS=1)
async def test_a_server_that_is_slow_to_say_goodbye_gets_one_mail(
    api: MailApi, app: FastAPI, database: Database, server: MailServer
) -> None:
    """It has accepted the mail, and its delivery must not count as failed."""
    server.is_slow_at_quit = True
    await api.ask(EMAIL)
    await app.state.jobs.join()

    assert server.waiting == 1
    assert await jobs_in(database) == []


@pytest.mark.settings(SMTP_TIMEOUT_SECONDS=1)
async def test_delivery_to_a_hanging_mail_server_times_out(
    api: MailApi, database: Database, log_output: io.StringIO
) -> None:
    api.server.may_answer.clear()

    assert (await api.ask(EMAIL)).status_code == 202

    assert "error=TimeoutError" in await logged(log_output, "mail_not_sent")
    await logged(log_output, "job_failed")
    api.server.may_answer.set()
    # The server may have accepted the first mail despite the timeout, so look for the second.
    await api.ask(SECOND)
    await api.server.next_to(SECOND)


async def test_a_mail_is_found_behind_those_to_others(api: MailApi) -> None:
    await api.ask(FIRST)

    async def has_arrived() -> bool:
        return api.server.waiting == 1

    await until(has_arrived)
    await api.ask(SECOND)

    assert (await api.server.next_to(SECOND)).recipients == [SECOND]
    assert api.server.waiting == 0


async def test_concurrent_deliveries_are_bounded(api: MailApi) -> None:
    api.server.may_answer.clear()
    emails = [f"user-{n}@example.com" for n in range(6)]

    for email in emails:
        await api.ask(email)

    async def are_five() -> bool:
        # JOBS_MAX_RUNNING, and one more, as mails are urgent.
        return api.server.deliveries_under_way == 5

    await until(are_five)
    for _ in range(100):  # event loop iterations, in which further deliveries would begin
        await api.client.get("/health/live")

    assert api.server.deliveries_under_way == 5
    api.server.may_answer.set()
    assert {(await api.server.next()).recipients[0] for _ in emails} == set(emails)


class MailDataOfBefore(BaseModel):
    """The data that a release without HTML has stored."""

    recipient: str
    subject: str
    text: str


async def test_a_mail_of_a_release_without_html_is_delivered(
    app: FastAPI, database: Database, server: MailServer
) -> None:
    run: Any = SEND_MAIL.run
    before = KitJob(SEND_MAIL.name, MailDataOfBefore, run)
    data = MailDataOfBefore(recipient=EMAIL, subject="Hello", text="Words\n")
    async with database.sessions() as session:
        repo = JobRepository(session, database.tables)
        await Outbox(repo, app.state.collaborators.encryption).add(before, data)
        await session.commit()
    await app.state.jobs.join()

    mail = await server.next()
    assert (mail.text, mail.message.get_content_type()) == ("Words\n", "text/plain")


# --- shutdown


@pytest.mark.settings(SHUTDOWN_TIMEOUT_SECONDS=1)
async def test_a_mail_that_shutdown_interrupts_arrives_from_the_next_process(
    settings: Settings, server: MailServer
) -> None:
    """Shutdown takes bounded time, and loses no mail."""
    server.may_answer.clear()
    app = create_app(settings)
    async with app.router.lifespan_context(app), client_from("127.0.0.1", app) as client:
        await client.post(REGISTER, json={"email": EMAIL, "password": PASSWORD})
        await server.begun.wait()
    assert [task for task in asyncio.all_tasks() if "JobRunner" in repr(task.get_coro())] == []
    server.may_answer.set()

    following = create_app(settings)
    async with following.router.lifespan_context(following):
        await following.state.jobs.join()

    arrived = [await server.next() for _ in range(server.waiting)]
    assert {mail.recipients[0] for mail in arrived} == {EMAIL}
    # The interrupted delivery may have arrived too.
    assert len({mail.message["Message-ID"] for mail in arrived}) == 1


# --- without a mail server


@pytest.mark.settings(SMTP_URL=None)
async def test_without_a_mail_server_the_mail_is_logged(
    api: MailApi, log_output: io.StringIO
) -> None:
    await api.ask(EMAIL)

    line = await logged(log_output, "mail")
    assert f"recipient={EMAIL}" in line
    [token] = LINK.findall(line.encode().decode("unicode_escape"))
    assert (await api.confirm(token)).status_code == 201
