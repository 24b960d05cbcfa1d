"""Fixtures: the application with registration by mail, and a mail server for each test."""

from collections.abc import AsyncIterator

import pytest
from httpx2 import AsyncClient
from pydantic import SecretStr

from examples.catalogue.core.config import Settings
from examples.catalogue.db.session import Database
from mscr.testing.mail_registration import PUBLIC_URL
from mscr.testing.mail_server import MailServer, mail_server
from mscr.tests.mail.api import MailApi


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as found:
        yield found


@pytest.fixture
def settings(settings: Settings, server: MailServer) -> Settings:
    """Return the test's settings, with defaults for registration by mail."""
    by_mail = {
        "REGISTRATION_BY_MAIL": True,
        "SMTP_URL": SecretStr(server.url),
        "PUBLIC_URL": PUBLIC_URL,
    }
    unset = by_mail.keys() - settings.model_fields_set
    return settings.model_copy(update={name: by_mail[name] for name in unset})


@pytest.fixture
def api(client: AsyncClient, database: Database, server: MailServer) -> MailApi:
    return MailApi(client, database, server)
