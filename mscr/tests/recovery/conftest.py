"""Fixtures: the application with a mail server for each test."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr

from examples.catalogue.core.config import Settings
from examples.catalogue.db.session import Database
from mscr.testing.api import Account
from mscr.testing.mail_registration import PUBLIC_URL
from mscr.testing.mail_server import MailServer, mail_server
from mscr.tests.recovery.api import CatalogueApi


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as found:
        yield found


@pytest.fixture
def settings(settings: Settings, server: MailServer) -> Settings:
    """Return the test's settings, with a mail server."""
    by_mail = {"SMTP_URL": SecretStr(server.url), "PUBLIC_URL": PUBLIC_URL}
    unset = by_mail.keys() - settings.model_fields_set
    return settings.model_copy(update={name: by_mail[name] for name in unset})


@pytest.fixture
def api(client: AsyncClient, database: Database, server: MailServer) -> CatalogueApi:
    return CatalogueApi(client, database, server)


@pytest.fixture
async def account(api: CatalogueApi, app: FastAPI) -> Account:
    """Register Ada, whose mail about the registration has arrived."""
    registered = await api.register("Ada@example.com")
    await app.state.jobs.join()
    await api.server.next_to(registered.email)
    return registered
