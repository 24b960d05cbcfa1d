"""The application decides what an account may do before its address is verified."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from fastapi import FastAPI

from examples.catalogue import main
from examples.catalogue.core.config import Settings
from examples.catalogue.db.session import Database
from examples.catalogue.models import User
from mscr.core.security.access_control import AccessControl
from mscr.models.base import utcnow
from mscr.testing.api import Account
from mscr.testing.applications import client_from
from mscr.testing.mail_server import MailServer
from mscr.testing.problems import problem
from mscr.testing.table_rows import set_columns
from mscr.tests.recovery.api import CatalogueApi as Api

READING = {"get_me", "list_items"}


@pytest.fixture
def strict_app(app: FastAPI, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    """Return an application where unverified accounts may only read, on the test's database."""
    access = replace(main.ACCESS, unverified=lambda operation: operation in READING)
    monkeypatch.setattr(main, "ACCESS", access)
    return main.create_app(settings, app.state.database)


@pytest.fixture
async def strict(
    strict_app: FastAPI, app: FastAPI, database: Database, server: MailServer
) -> AsyncIterator[Api]:
    strict_app.state.jobs = app.state.jobs
    async with client_from("127.0.0.1", strict_app) as client:
        yield Api(client, database, server)


async def test_an_unverified_account_may_do_everything_by_default(
    api: Api, account: Account
) -> None:
    await api.create_item(account)


async def test_the_application_decides_what_an_unverified_account_may_do(
    strict: Api, account: Account, database: Database
) -> None:
    """JW5: the verification acts on the next request."""
    path, body = "/api/v1/items", {"title": "A thing"}
    assert (await strict.client.get(path, headers=account.headers)).status_code == 200
    refused = await strict.client.post(path, json=body, headers=account.headers)
    problem(refused, 403, "email_not_verified")

    await set_columns(database, User, account.public_id, email_verified_at=utcnow())

    await strict.create_item(account)


async def test_an_unverified_account_can_always_verify_its_address(
    strict: Api, account: Account
) -> None:
    """EM4: also a mistyped one, by a change."""
    token = await strict.verification_token(account)
    assert (await strict.change_email(account, "right@example.com")).status_code == 202
    await strict.server.next()
    assert (await strict.verify(token, account)).status_code == 400

    token = await strict.verification_token(account)
    assert (await strict.verify(token, account)).status_code == 204
    await strict.create_item(account)


def test_the_documentation_shows_which_operations_need_a_verified_address(
    strict_app: FastAPI, app: FastAPI
) -> None:
    paths = strict_app.openapi()["paths"]

    assert "email_not_verified" in str(paths["/api/v1/items"]["post"]["responses"]["403"])
    for path, method in (
        ("/api/v1/items", "get"),
        ("/api/v1/auth/login", "post"),
        ("/api/v1/auth/verify-email", "post"),
    ):
        assert "email_not_verified" not in str(paths[path][method]["responses"])
    assert "email_not_verified" not in str(app.openapi())


def test_an_application_without_the_decision_admits_unverified_accounts() -> None:
    access = AccessControl(policy=main.ACCESS.policy, scopes={}, token_path="")

    assert access.admits_unverified("create_item")
