"""Registration with REGISTRATION_BY_MAIL: a mailed link creates the account."""

from collections.abc import AsyncIterator

import pytest
from httpx2 import AsyncClient
from pydantic import SecretStr

from app.core.config import Settings
from app.db.session import Database
from mscr.testing.api import PASSWORD
from mscr.testing.mail_registration import PUBLIC_URL, link_token
from mscr.testing.mail_registration import MailApi as KitMailApi
from mscr.testing.mail_server import MailServer, mail_server
from mscr.testing.problems import assert_unauthorized, faulty_fields, problem
from tests.api import Api

EMAIL = "ada@example.com"
APP_NAME = Settings.model_fields["APP_NAME"].default


class MailApi(KitMailApi, Api):
    """Your steps, with a registration by mail."""


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as found:
        yield found


@pytest.fixture
def settings(settings: Settings, server: MailServer) -> Settings:
    by_mail = {
        "REGISTRATION_BY_MAIL": True,
        "SMTP_URL": SecretStr(server.url),
        "PUBLIC_URL": PUBLIC_URL,
    }
    return settings.model_copy(update=by_mail)


@pytest.fixture
def api(client: AsyncClient, database: Database, server: MailServer) -> MailApi:
    return MailApi(client, database, server)


async def test_the_mailed_link_creates_the_account(api: MailApi) -> None:
    token = await api.mailed_token(EMAIL, full_name="Ada Lovelace")
    assert_unauthorized(await api.try_login(EMAIL, PASSWORD), "invalid_credentials")

    confirmed = await api.confirm(token)

    created = confirmed.json()["data"]
    assert confirmed.status_code == 201
    assert (created["email"], created["full_name"], created["role"]) == (
        EMAIL,
        "Ada Lovelace",
        "user",
    )
    assert (await api.try_login(EMAIL, PASSWORD)).status_code == 200


async def test_the_mail_tells_what_to_do_and_repeats_no_input_but_the_address(api: MailApi) -> None:
    """Otherwise a stranger decides what somebody reads in a mail of ours."""
    mail = await api.mail_for(EMAIL, full_name="http://evil.example")

    assert mail.recipients == [EMAIL]
    assert mail.message["Subject"] == f"Confirm your registration at {APP_NAME}"
    assert "open this link within 60 minutes" in mail.text
    assert "evil" not in mail.message.as_string()


async def test_only_the_mail_reveals_that_an_address_is_taken(api: MailApi) -> None:
    account = await api.register()

    taken, free = await api.ask(account.email), await api.ask("free@example.com")

    assert (taken.status_code, taken.content) == (free.status_code, free.content)
    notice = await api.server.next_to(account.email)
    assert notice.message["Subject"] == f"You have an account at {APP_NAME}"
    assert "http" not in notice.text


async def test_a_link_creates_one_account_only(api: MailApi) -> None:
    first, second = await api.mailed_token(EMAIL), await api.mailed_token(EMAIL)
    await api.confirm(first)

    for token in (first, second):
        problem(await api.confirm(token), 409, "email_taken")


async def test_a_link_that_a_stranger_requested_is_no_login_for_the_stranger(api: MailApi) -> None:
    token = await api.mailed_token(EMAIL, password="a stranger's password")

    problem(await api.confirm(token), 403, "wrong_password")
    assert_unauthorized(await api.try_login(EMAIL, "a stranger's password"), "invalid_credentials")


async def test_a_link_that_was_changed_is_refused(api: MailApi) -> None:
    token = link_token(await api.mail_for(EMAIL))
    changed = f"{token[:-4]}AAAA"

    problem(await api.confirm(changed), 400, "invalid_registration_token")


async def test_a_password_is_checked_before_a_mail_is_sent(api: MailApi) -> None:
    refused = await api.ask(EMAIL, password="adalovelace!", full_name="Ada Lovelace")

    assert faulty_fields(refused) == [["body", "password"]]
    assert api.server.waiting == 0
