"""Notices to the owner of an account: a new device, another password, a stolen token."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from fastapi import FastAPI, Request
from httpx2 import AsyncClient, Response
from sqlalchemy import delete, event, select, update
from sqlalchemy.orm import Session

from examples.catalogue.core.config import Settings
from examples.catalogue.db.session import Database
from examples.catalogue.models import Job, RefreshToken
from examples.catalogue.models.user import User
from examples.catalogue.tests.api import Api
from mscr.core.notices import Notice
from mscr.core.settings_fields import Environment
from mscr.endpoints.account_services import account_notices
from mscr.endpoints.database import DbSession
from mscr.endpoints.requests import CurrentClient
from mscr.repositories.refresh_token_repository import RefreshTokenRepository
from mscr.services.account_notices import NEW_DEVICES_A_DAY
from mscr.testing.api import PASSWORD, Account
from mscr.testing.applications import client_from
from mscr.testing.mail_server import Delivery, MailServer
from mscr.testing.problems import assert_unauthorized, problem
from mscr.testing.statements import StatementCounter
from mscr.testing.tokens import NO_INTERVAL, rotated
from mscr.tests.mail.api import MailApi

pytestmark = pytest.mark.settings(REGISTRATION_BY_MAIL=False)

LINUX = "Mozilla/5.0 (X11; Linux x86_64; rv:152.0) Gecko/20100101 Firefox/152.0"
NEWER = LINUX.replace("152", "153")
WINDOWS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/150.0.0.0 Safari/537.36"
)
HOME = "203.0.113.7"
NEW_PASSWORD = "canary battery staple"
OFF = pytest.mark.settings(NOTICES="[]")
SUBJECTS = {
    Notice.NEW_DEVICE: "New login at",
    Notice.PASSWORD_CHANGED: "Your password at",
    Notice.REUSE_DETECTED: "A session at",
}


def all_but(notice: Notice) -> pytest.MarkDecorator:
    others = ",".join(each.value for each in Notice if each is not notice)
    return pytest.mark.settings(NOTICES=others)


class Mailbox:
    """The mails that have arrived, and the clients of devices."""

    def __init__(self, app: FastAPI, server: MailServer) -> None:
        self.app = app
        self.at_registration: list[str] = []
        self._server = server

    async def arrived(self) -> list[Delivery]:
        """Return all unread mails, after every job that is due has run."""
        await self.app.state.jobs.join()
        return [await self._server.next() for _ in range(self._server.waiting)]

    async def subjects(self) -> list[str]:
        return [str(mail.message["Subject"]) for mail in await self.arrived()]

    def device(self, address: str = HOME, user_agent: str = LINUX) -> AsyncClient:
        client = client_from(address, self.app)
        client.headers["User-Agent"] = user_agent
        return client

    async def login(
        self, account: Account, address: str = HOME, user_agent: str = LINUX
    ) -> Response:
        async with self.device(address, user_agent) as client:
            body = {"email": account.email, "password": account.password}
            return await client.post("/api/v1/auth/login", json=body)


@pytest.fixture
def api(client: AsyncClient, database: Database) -> Api:
    return Api(client, database)


@pytest.fixture
def mailbox(app: FastAPI, server: MailServer) -> Mailbox:
    return Mailbox(app, server)


@pytest.fixture
async def account(mailbox: Mailbox, database: Database) -> AsyncIterator[Account]:
    """Yield an account that was registered at home, with Firefox on Linux."""
    async with mailbox.device() as client:
        made = await Api(client, database).register("ada@example.com")
        mailbox.at_registration = await mailbox.subjects()
        yield made


async def jobs_in(database: Database) -> list[Job]:
    async with database.read_sessions() as session:
        return [*await session.scalars(select(Job))]


async def change_password(api: Api, account: Account, **body: Any) -> Response:
    body = {"current_password": account.password, "new_password": NEW_PASSWORD, **body}
    return await api.client.post(
        "/api/v1/users/me/change-password", json=body, headers=account.headers
    )


# --- a new device


@pytest.mark.parametrize(
    ("address", "user_agent", "described"),
    [
        pytest.param(HOME, WINDOWS, "Chrome on Windows", id="another program"),
        pytest.param("198.51.100.9", LINUX, "Firefox on Linux", id="another network"),
        pytest.param("2001:db8::9", LINUX, "Firefox on Linux", id="IPv6"),
    ],
)
async def test_the_owner_is_notified_of_a_login_from_a_new_device(
    mailbox: Mailbox, account: Account, address: str, user_agent: str, described: str
) -> None:
    """SE5: once, without a link that the reader could follow."""
    assert (await mailbox.login(account, address, user_agent)).status_code == 200

    [mail] = await mailbox.arrived()
    assert mail.recipients == ["ada@example.com"]
    assert mail.message["Subject"].startswith("New login at")
    assert described in mail.text
    assert address in mail.text
    assert [part for part in (mail.text, mail.html) if "://" in part or "href" in part] == []
    assert (await mailbox.login(account, address, user_agent)).status_code == 200
    assert await mailbox.arrived() == []


async def test_a_login_from_a_known_device_sends_nothing(
    mailbox: Mailbox, account: Account
) -> None:
    """SE5: with a newer browser, and with another address of the same provider."""
    for address, user_agent in ((HOME, LINUX), (HOME, NEWER), ("203.0.1.2", LINUX)):
        assert (await mailbox.login(account, address, user_agent)).status_code == 200

    assert await mailbox.arrived() == []


async def test_a_device_is_known_after_its_logout(
    mailbox: Mailbox, api: Api, account: Account
) -> None:
    """SE5."""
    body = {"refresh_token": account.refresh_token}
    assert (await api.client.post("/api/v1/auth/logout", json=body)).status_code == 204

    await mailbox.login(account)

    assert await mailbox.arrived() == []


async def test_a_registration_sends_nothing(mailbox: Mailbox, account: Account) -> None:
    """SE5: only the link that verifies the address."""
    assert mailbox.at_registration == ["Verify your address at Catalogue"]


@pytest.mark.settings(REGISTRATION_BY_MAIL=True)
async def test_the_first_login_after_a_registration_by_mail_sends_nothing(
    mailbox: Mailbox, client: AsyncClient, database: Database, server: MailServer
) -> None:
    """SE5: and the next device is a new one."""
    account = await MailApi(client, database, server).register("ada@example.com")
    assert await mailbox.arrived() == []

    await mailbox.login(account)

    assert len(await mailbox.arrived()) == 1


async def test_the_owner_of_a_dormant_account_is_notified_of_any_login(
    mailbox: Mailbox, account: Account, database: Database
) -> None:
    """SE5: its sessions have been cleaned up, so that no device is known."""
    async with database.sessions.begin() as session:
        await session.execute(delete(RefreshToken))

    with time_machine.travel(datetime.now(UTC) + timedelta(days=2), tick=False):
        await mailbox.login(account)
        assert len(await mailbox.arrived()) == 1


async def test_the_owner_of_an_imported_account_is_notified_of_its_first_login(
    mailbox: Mailbox, account: Account, database: Database
) -> None:
    """SE5: an id of another version does not show when the account was registered."""
    async with database.sessions.begin() as session:
        await session.execute(delete(RefreshToken))
        await session.execute(update(User).values(public_id="5f1e7c1e-3c57-4bd3-9d3c-1d6a64a2a0a1"))

    await mailbox.login(account)

    assert len(await mailbox.arrived()) == 1


@NO_INTERVAL
@pytest.mark.parametrize("ended_by", ["owner", "reuse", "logout-all", "password"])
async def test_a_session_that_may_have_been_a_thiefs_does_not_make_a_device_known(
    mailbox: Mailbox, api: Api, account: Account, database: Database, ended_by: str
) -> None:
    """SE5: its next login is noticed again."""
    thief = (await mailbox.login(account, user_agent=WINDOWS)).json()["data"]
    if ended_by == "owner":
        url = "/api/v1/auth/sessions"
        assert (await api.client.delete(url, headers=account.headers)).status_code == 204
    elif ended_by == "reuse":
        # From the thief's device: a refresh stores where it comes from.
        async with mailbox.device(user_agent=WINDOWS) as client:
            theirs = Api(client, database)
            await rotated(theirs, thief["refresh_token"])
            refused = await theirs.refresh(thief["refresh_token"])
        assert_unauthorized(refused, "invalid_refresh_token")
    elif ended_by == "logout-all":
        url = "/api/v1/auth/logout-all"
        assert (await api.client.post(url, headers=account.headers)).status_code == 204
    else:
        assert (await change_password(api, account)).status_code == 200
        account = replace(account, password=NEW_PASSWORD)
    await mailbox.arrived()

    await mailbox.login(account, user_agent=WINDOWS)

    assert len(await mailbox.arrived()) == 1


async def test_parallel_logins_of_a_new_device_send_one_notice(
    mailbox: Mailbox, account: Account
) -> None:
    """SE5: each sees the sessions of those before it."""
    answers = await asyncio.gather(*[mailbox.login(account, user_agent=WINDOWS) for _ in range(10)])

    assert {answer.status_code for answer in answers} == {200}
    assert len(await mailbox.arrived()) == 1


async def test_logins_from_ever_new_networks_do_not_flood_the_mailbox(
    mailbox: Mailbox, account: Account
) -> None:
    """SE5: the attacker knows the password, or has registered another person's address."""
    for n in range(NEW_DEVICES_A_DAY + 5):
        assert (await mailbox.login(account, f"10.{n}.0.1")).status_code == 200
    sent = len(await mailbox.arrived())

    with time_machine.travel(datetime.now(UTC) + timedelta(days=1, hours=1), tick=False):
        await mailbox.login(account, "10.99.0.1")
        assert (sent, len(await mailbox.arrived())) == (NEW_DEVICES_A_DAY - 1, 1)


async def test_nothing_that_the_client_words_is_in_the_mail(
    mailbox: Mailbox, account: Account
) -> None:
    """SE5: a User-Agent with a text for the reader would be phishing in a genuine mail."""
    text = "Firefox/1 - canary! log in at https://evil.example to keep your account; Linux"
    await mailbox.login(account, "canary.example", text)

    [mail] = await mailbox.arrived()
    assert "Firefox on Linux" in mail.text
    assert "an unknown address" in mail.text
    assert [word for word in ("canary", "evil") if word in str(mail.message)] == []


@pytest.mark.parametrize("password", ["wrong password", PASSWORD])
async def test_a_refused_login_sends_nothing(
    mailbox: Mailbox, account: Account, database: Database, password: str
) -> None:
    """SE5: for a wrong password, and for an inactive account."""
    if password == PASSWORD:
        async with database.sessions.begin() as session:
            await session.execute(update(User).values(is_active=False))

    refused = await mailbox.login(replace(account, password=password), user_agent=WINDOWS)

    assert_unauthorized(refused, "invalid_credentials")
    assert await mailbox.arrived() == []


async def test_a_new_device_costs_a_login_one_statement(
    mailbox: Mailbox, account: Account, queries: StatementCounter
) -> None:
    """SE5: the notice. A known one costs none: the record of all routes has the number."""
    with queries.counted() as known:
        await mailbox.login(account)
    with queries.counted() as new:
        await mailbox.login(account, user_agent=WINDOWS)

    assert (len(known), len(new)) == (5, 6)


# --- a changed password


async def test_the_owner_is_notified_of_a_changed_password(
    mailbox: Mailbox, api: Api, account: Account
) -> None:
    """SE5, ER3: once, and without a password or a token."""
    response = await change_password(api, account)

    [mail] = await mailbox.arrived()
    assert mail.recipients == ["ada@example.com"]
    assert mail.message["Subject"].startswith("Your password at")
    tokens = response.json()["data"]
    secrets_ = (PASSWORD, NEW_PASSWORD, tokens["refresh_token"], tokens["access_token"], "canary")
    assert [each for each in secrets_ if each in mail.text] == []
    assert "http" not in mail.text


@pytest.mark.parametrize(
    ("body", "status"),
    [({"current_password": "wrong password"}, 403), ({"new_password": PASSWORD}, 422)],
    ids=["wrong password", "unchanged"],
)
async def test_a_refused_change_of_the_password_sends_nothing(
    mailbox: Mailbox, api: Api, account: Account, body: dict[str, str], status: int
) -> None:
    """SE5."""
    assert (await change_password(api, account, **body)).status_code == status

    assert await mailbox.arrived() == []


async def test_a_change_that_is_rolled_back_sends_nothing(
    mailbox: Mailbox, api: Api, account: Account, database: Database
) -> None:
    """SE5, RL15: the notice is in the transaction of its cause."""

    def fail(session: Session) -> None:
        if any(isinstance(row, User) for row in session.identity_map.values()):
            raise RuntimeError("the change of the password is not committed")

    event.listen(Session, "before_commit", fail)
    try:
        problem(await change_password(api, account), 500, "internal_error")
    finally:
        event.remove(Session, "before_commit", fail)

    assert await mailbox.arrived() == []
    assert await jobs_in(database) == []
    assert (await mailbox.login(account)).status_code == 200


# --- a changed address


async def test_the_former_address_is_notified_of_a_change(
    mailbox: Mailbox, api: Api, app: FastAPI
) -> None:
    """SE5: by a route as an application would write it."""

    @app.post("/moves")
    async def move(request: Request, db: DbSession, client: CurrentClient) -> None:
        await account_notices(request, db).email_changed("former@example.com", client)
        await db.commit()

    await api.client.post("/moves")

    [mail] = await mailbox.arrived()
    assert mail.recipients == ["former@example.com"]
    assert mail.message["Subject"].startswith("Your address at")


# --- a reused refresh token


@NO_INTERVAL
async def test_the_owner_is_notified_once_of_a_reused_token(
    mailbox: Mailbox, api: Api, account: Account
) -> None:
    """SE5, RT2: committed with the end of the session, although the request is refused."""
    tokens = await rotated(api, account.refresh_token)

    answers = await asyncio.gather(*[api.refresh(account.refresh_token) for _ in range(10)])
    answers.append(await api.refresh(tokens["refresh_token"]))

    assert {answer.status_code for answer in answers} == {401}
    [mail] = await mailbox.arrived()
    assert mail.recipients == ["ada@example.com"]
    assert mail.message["Subject"].startswith("A session at")
    assert [each for each in ("access_token", "refresh_token") if tokens[each] in mail.text] == []


@NO_INTERVAL
async def test_a_refused_token_that_is_no_reuse_sends_nothing(
    mailbox: Mailbox, api: Api, account: Account
) -> None:
    """SE5: garbage, and a token of a session that was logged out."""
    await api.refresh("garbage")
    await api.refresh(account.refresh_token[:-4] + "AAAA")
    body = {"refresh_token": account.refresh_token}
    await api.client.post("/api/v1/auth/logout", json=body)
    await api.refresh(account.refresh_token)

    assert await mailbox.arrived() == []


@NO_INTERVAL
async def test_an_account_that_is_deleted_meanwhile_gets_no_notice(
    mailbox: Mailbox,
    api: Api,
    account: Account,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SE5: between the look at the token and the end of its session."""
    revoke = RefreshTokenRepository.revoke

    async def deleted_before(*arguments: Any) -> bool:
        async with database.sessions.begin() as session:
            await session.execute(update(User).values(is_deleted=True))
        return await revoke(*arguments)

    await rotated(api, account.refresh_token)
    monkeypatch.setattr(RefreshTokenRepository, "revoke", deleted_before)

    assert_unauthorized(await api.refresh(account.refresh_token), "invalid_refresh_token")
    assert await mailbox.arrived() == []


# --- switched off


async def cause(notice: Notice, mailbox: Mailbox, api: Api, account: Account) -> Response:
    if notice is Notice.NEW_DEVICE:
        return await mailbox.login(account, user_agent=WINDOWS)
    if notice is Notice.PASSWORD_CHANGED:
        return await change_password(api, account)
    token = (await mailbox.login(account)).json()["data"]["refresh_token"]
    await rotated(api, token)
    return await api.refresh(token)


CAUSED = [Notice.NEW_DEVICE, Notice.REUSE_DETECTED, Notice.PASSWORD_CHANGED]


@NO_INTERVAL
@pytest.mark.parametrize(
    "notice", [pytest.param(notice, marks=all_but(notice), id=notice.value) for notice in CAUSED]
)
async def test_each_notice_can_be_switched_off(
    mailbox: Mailbox, api: Api, account: Account, notice: Notice
) -> None:
    """SE5: the others stay."""
    subjects = []
    for each in CAUSED:
        await cause(each, mailbox, api, account)
        subjects += await mailbox.subjects()

    expected = [SUBJECTS[each] for each in CAUSED if each is not notice]
    assert [" ".join(subject.split()[:3]) for subject in subjects] == expected


@NO_INTERVAL
@OFF
@pytest.mark.parametrize("notice", CAUSED)
async def test_all_notices_can_be_switched_off(
    mailbox: Mailbox, api: Api, account: Account, notice: Notice
) -> None:
    """SE5: the response is the same."""
    response = await cause(notice, mailbox, api, account)

    assert response.status_code == (401 if notice is Notice.REUSE_DETECTED else 200)
    assert await mailbox.arrived() == []


class TestWithoutMail:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """Return the settings of a production that has no mail server."""
        return settings.model_copy(update={"ENVIRONMENT": Environment.PRODUCTION, "SMTP_URL": None})

    @NO_INTERVAL
    @pytest.mark.parametrize("notice", CAUSED)
    async def test_production_without_a_mail_server_adds_no_notice(
        self, mailbox: Mailbox, api: Api, account: Account, database: Database, notice: Notice
    ) -> None:
        """SE5: nothing would ever deliver it."""
        response = await cause(notice, mailbox, api, account)

        assert response.status_code == (401 if notice is Notice.REUSE_DETECTED else 200)
        assert await jobs_in(database) == []


@pytest.mark.settings(JOBS_IN_PROCESS=False)
async def test_a_process_that_runs_no_jobs_leaves_the_notice_to_a_worker(
    api: Api, app: FastAPI, account: Account, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setattr(app.state.jobs, "wake", lambda: started.append("a search"))
    await change_password(api, account)

    assert started == []
    assert len(await jobs_in(database)) == 1
