"""Mails that leave, and mail servers that are away, slow or unwilling: nobody waits for them."""

import asyncio
import io
import re

import pytest

from app.core.config import Settings
from app.main import create_app
from tests.support.api import PASSWORD
from tests.support.applications import client_from
from tests.support.databases import on_sqlite
from tests.support.mail_registration import LINK, REGISTER, MailApi
from tests.support.mail_server import MailServer

pytestmark = on_sqlite

EMAIL = "canary@example.com"
# Nobody listens there: port 1 is tcpmux.
AWAY = "smtp://127.0.0.1:1"
FIRST, SECOND, THIRD = "first@example.com", "second@example.com", "third@example.com"


async def logged(log_output: io.StringIO, event: str) -> str:
    """The line of the log about an event, as soon as it is there."""
    async with asyncio.timeout(10):
        while True:
            lines = [line for line in log_output.getvalue().splitlines() if f" {event} " in line]
            if lines:
                return lines[-1]
            await asyncio.sleep(0.01)


@pytest.mark.settings(SMTP_URL=AWAY)
async def test_a_mail_server_that_is_away_is_told_in_the_log_alone(
    api: MailApi, log_output: io.StringIO
) -> None:
    """ER3: with the request's id, and without the address or the link."""
    assert (await api.ask(EMAIL)).status_code == 202

    line = await logged(log_output, "mail_not_sent")
    assert "error=SMTPConnectError" in line
    assert "request_id=the-same-for-all" in line
    assert [word for word in ("canary", "token") if word in log_output.getvalue()] == []


async def test_a_mail_that_is_refused_is_told_without_what_the_server_says(
    api: MailApi, log_output: io.StringIO
) -> None:
    """ER3: servers repeat the address that they refuse."""
    api.server.refusal = f"550 no such mailbox: <{EMAIL}>"

    assert (await api.ask(EMAIL)).status_code == 202

    assert "error=SMTPDataError" in await logged(log_output, "mail_not_sent")
    assert "canary" not in log_output.getvalue()


@pytest.mark.settings(SMTP_TIMEOUT_SECONDS=0.1)
async def test_a_mail_server_that_hangs_is_given_up(api: MailApi, log_output: io.StringIO) -> None:
    api.server.may_answer.clear()

    assert (await api.ask(EMAIL)).status_code == 202

    assert "error=TimeoutError" in await logged(log_output, "mail_not_sent")
    api.server.may_answer.set()
    # The server may have taken the first one, though it was slow to say so.
    await api.ask(SECOND)
    await api.server.next_to(SECOND)


@pytest.mark.settings(MAIL_MAX_PENDING=2)
async def test_a_mail_too_many_is_dropped_and_there_is_room_again_later(
    api: MailApi, log_output: io.StringIO
) -> None:
    """A server that hangs does not fill the memory; the answer is the same."""
    api.server.may_answer.clear()

    answers = [await api.ask(email) for email in (FIRST, SECOND, THIRD)]

    assert {answer.status_code for answer in answers} == {202}
    assert "reason=too_many_pending" in await logged(log_output, "mail_dropped")
    api.server.may_answer.set()
    assert {(await api.server.next()).recipients[0] for _ in range(2)} == {FIRST, SECOND}
    await asyncio.gather(*deliveries())
    assert (await api.mail_for(THIRD)).recipients == [THIRD]


def deliveries() -> list[asyncio.Task[None]]:
    """What the application has under way."""
    return [task for task in asyncio.all_tasks() if "MailDispatcher" in repr(task.get_coro())]


async def test_only_some_mails_are_delivered_at_once(api: MailApi) -> None:
    api.server.may_answer.clear()
    emails = [f"user-{n}@example.com" for n in range(6)]

    for email in emails:
        await api.ask(email)
    await api.server.begun.wait()
    for _ in range(100):  # rounds of the loop, in which the others would come
        await api.client.get("/health/live")

    assert api.server.deliveries_under_way == 4
    api.server.may_answer.set()
    assert {(await api.server.next()).recipients[0] for _ in emails} == set(emails)


# --- the end of the process


async def test_what_is_pending_is_delivered_before_the_application_ends(
    settings: Settings, server: MailServer
) -> None:
    app = create_app(settings)
    async with app.router.lifespan_context(app), client_from("127.0.0.1", app) as client:
        await client.post(REGISTER, json={"email": EMAIL, "password": PASSWORD})
        assert server.waiting == 0

    assert server.waiting == 1


@pytest.mark.settings(SHUTDOWN_TIMEOUT_SECONDS=1)
async def test_the_application_ends_though_the_mail_server_hangs(
    settings: Settings, server: MailServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """In bounded time, with nothing left running, and told how many mails were lost."""
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


# --- without a server


@pytest.mark.settings(SMTP_URL=None)
async def test_in_development_the_log_has_the_mail(api: MailApi, log_output: io.StringIO) -> None:
    await api.ask(EMAIL)

    line = await logged(log_output, "mail")
    assert f"recipient={EMAIL}" in line
    [token] = LINK.findall(line.encode().decode("unicode_escape"))
    assert (await api.confirm(token)).status_code == 201
