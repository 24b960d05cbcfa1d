"""Forgotten passwords and addresses, with the mails of this application."""

from collections.abc import AsyncIterator

import pytest
from httpx2 import AsyncClient
from pydantic import SecretStr

from app.core.config import Settings
from app.core.security.permissions import unverified_may
from app.db.session import Database
from mscr.testing.api import PASSWORD, Account
from mscr.testing.mail_registration import PUBLIC_URL
from mscr.testing.mail_server import MailServer, mail_server
from mscr.testing.problems import assert_unauthorized, faulty_fields
from mscr.testing.recovery import NEW_PASSWORD, RecoveryApi, link_in
from tests.api import Api as AppApi

APP_NAME = Settings.model_fields["APP_NAME"].default


class Api(RecoveryApi, AppApi): ...


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as found:
        yield found


@pytest.fixture
def settings(settings: Settings, server: MailServer) -> Settings:
    values = {"SMTP_URL": SecretStr(server.url), "PUBLIC_URL": PUBLIC_URL}
    return settings.model_copy(update=values)


@pytest.fixture
def api(client: AsyncClient, database: Database, server: MailServer) -> Api:
    return Api(client, database, server)


@pytest.fixture
async def account(api: Api) -> Account:
    return await api.register("ada@example.com")


async def test_a_registration_mails_a_link_that_verifies_the_address(
    api: Api, account: Account
) -> None:
    mail = await api.server.next()
    _, token = link_in(mail)

    assert mail.message["Subject"] == f"Verify your address at {APP_NAME}"
    assert "within 24 hours" in mail.text
    assert (await api.verify(token, account)).status_code == 204
    me = (await api.me(account.access_token)).json()["data"]
    assert me["email_verified_at"] is not None


async def test_a_mailed_link_resets_a_forgotten_password(api: Api, account: Account) -> None:
    token = await api.reset_token(account.email)

    assert faulty_fields(await api.reset(token, account.email)) == [["body", "password"]]
    assert (await api.reset(token)).status_code == 204

    assert_unauthorized(await api.try_login(account.email, PASSWORD), "invalid_credentials")
    assert (await api.try_login(account.email, NEW_PASSWORD)).status_code == 200


async def test_a_link_in_the_new_mailbox_changes_the_address(api: Api, account: Account) -> None:
    token = await api.change_token(account, "ada@example.org")

    assert (await api.verify(token, account)).status_code == 204

    assert (await api.try_login("ada@example.org", PASSWORD)).status_code == 200


def test_an_account_may_do_everything_before_its_address_is_verified() -> None:
    assert unverified_may("create_item")
