"""Mail delivery in the background: mail servers that are down, slow or refuse, and shutdown."""

import asyncio
import io
import re

import pytest

from examples.catalogue.core.config import Settings
from examples.catalogue.main import create_app
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
FIRST, SECOND, THIRD = "first@example.com", "second@example.com", "third@example.com"


async def logged(log_output: io.StringIO, event: str) -> str:
    """Wait for the log line of an event and return it."""
    async with asyncio.timeout(PATIENCE.total_seconds()):
        while True:
            lines = [line for line in log_output.getvalue().splitlines() if f" {event} " in line]
            if lines:
                return lines[-1]
            await asyncio.sleep(0.01)


@pytest.mark.settings(SMTP_URL=AWAY)
async def test_an_unreachable_mail_server_is_only_logged(
    api: MailApi, log_output: io.StringIO
) -> None:
    """ER3: the log line has the request's id, but not the address or the link."""
    assert (await api.ask(EMAIL)).status_code == 202

    line = await logged(log_output, "mail_not_sent")
    assert "error=SMTPConnectError" in line
    assert "request_id=the-same-for-all" in line
    assert [word for word in ("canary", "token") if word in log_output.getvalue()] == []


async def test_a_refused_mail_is_logged_without_the_reply_of_the_server(
    api: MailApi, log_output: io.StringIO
) -> None:
    """ER3: mail servers repeat the refused address in their replies."""
    api.server.refusal = f"550 no such mailbox: <{EMAIL}>"

    assert (await api.ask(EMAIL)).status_code == 202

    assert "error=SMTPDataError" in await logged(log_output, "mail_not_sent")
    assert "canary" not in log_output.getvalue()


@pytest.mark.settings(SMTP_TIMEOUT_SECONDS=0.1)
async def test_delivery_to_a_hanging_mail_server_times_out(
    api: MailApi, log_output: io.StringIO
) -> None:
    api.server.may_answer.clear()

    assert (await api.ask(EMAIL)).status_code == 202

    assert "error=TimeoutError" in await logged(log_output, "mail_not_sent")
    api.server.may_answer.set()
    # The server may have accepted the first mail despite the timeout, so look for the second.
    await api.ask(SECOND)
    await api.server.next_to(SECOND)


@pytest.mark.settings(MAIL_MAX_PENDING=2)
async def test_mails_beyond_the_maximum_backlog_are_dropped(
    api: MailApi, log_output: io.StringIO
) -> None:
    """A hanging mail server causes no unbounded backlog, and the response is the same."""
    api.server.may_answer.clear()

    answers = [await api.ask(email) for email in (FIRST, SECOND, THIRD)]

    assert {answer.status_code for answer in answers} == {202}
    assert "reason=too_many_pending" in await logged(log_output, "mail_dropped")
    api.server.may_answer.set()
    assert {(await api.server.next()).recipients[0] for _ in range(2)} == {FIRST, SECOND}
    await asyncio.gather(*deliveries())
    assert (await api.mail_for(THIRD)).recipients == [THIRD]


async def test_a_mail_is_found_behind_those_to_others(api: MailApi) -> None:
    await api.ask(FIRST)

    async def has_arrived() -> bool:
        return api.server.waiting == 1

    await until(has_arrived)
    await api.ask(SECOND)

    assert (await api.server.next_to(SECOND)).recipients == [SECOND]
    assert api.server.waiting == 0


def deliveries() -> list[asyncio.Task[None]]:
    """Return the tasks that deliver mails."""
    return [task for task in asyncio.all_tasks() if "MailDispatcher" in repr(task.get_coro())]


async def test_concurrent_deliveries_are_bounded(api: MailApi) -> None:
    api.server.may_answer.clear()
    emails = [f"user-{n}@example.com" for n in range(6)]

    for email in emails:
        await api.ask(email)
    await api.server.begun.wait()
    for _ in range(100):  # event loop iterations, in which further deliveries would begin
        await api.client.get("/health/live")

    assert api.server.deliveries_under_way == 4
    api.server.may_answer.set()
    assert {(await api.server.next()).recipients[0] for _ in emails} == set(emails)


# --- shutdown


async def test_pending_mails_are_delivered_before_shutdown(
    settings: Settings, server: MailServer
) -> None:
    app = create_app(settings)
    async with app.router.lifespan_context(app), client_from("127.0.0.1", app) as client:
        await client.post(REGISTER, json={"email": EMAIL, "password": PASSWORD})
        assert server.waiting == 0

    assert server.waiting == 1


@pytest.mark.settings(SHUTDOWN_TIMEOUT_SECONDS=1)
async def test_shutdown_is_bounded_while_the_mail_server_hangs(
    settings: Settings, server: MailServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Shutdown takes bounded time, leaves no task running and logs the number of lost mails."""
    server.may_answer.clear()
    app = create_app(settings)
    async with app.router.lifespan_context(app), client_from("127.0.0.1", app) as client:
        for number in range(10):
            body = {"email": f"canary-{number}@example.com", "password": PASSWORD}
            assert (await client.post(REGISTER, json=body)).status_code == 202

    assert deliveries() == []
    lost = re.search(r"mail_dropped .*mails=(\d+) reason=shutdown", capsys.readouterr().out)
    assert lost is not None
    assert 0 < int(lost[1]) <= 10


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
