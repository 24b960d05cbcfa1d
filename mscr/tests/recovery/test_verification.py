"""The proof of an account's address, by a mailed link and a login of that account."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from fastapi import FastAPI
from sqlalchemy import update

from examples.catalogue.db.session import Database
from examples.catalogue.models import User
from mscr.testing.api import Account
from mscr.testing.databases import on_sqlite
from mscr.testing.problems import assert_unauthorized, faulty_fields, problem
from mscr.testing.recovery import VERIFY, link_in
from mscr.testing.table_rows import all_rows, rows_but_the_audit_log, set_columns
from mscr.testing.tokens import counted_statements
from mscr.testing.waiting import until
from mscr.tests.recovery.api import CatalogueApi as Api
from mscr.tests.recovery.records import events, refused

CALLERS = 20


async def verified_at(api: Api, account: Account) -> Any:
    return (await api.me(account.access_token)).json()["data"]["email_verified_at"]


@pytest.fixture
async def token(api: Api, account: Account) -> str:
    return await api.verification_token(account)


# --- valid links


async def test_a_registration_mails_a_link_that_verifies_its_address(
    api: Api, database: Database
) -> None:
    """EM4: the response of the registration stays the same."""
    account = await api.register("Ada@example.com")
    mail = await api.server.next()
    page, token = link_in(mail)

    assert (mail.recipients, page) == ([account.email], "verify-email")
    assert mail.message["Subject"] == "Verify your address at Catalogue"
    assert await verified_at(api, account) is None
    assert (await api.verify(token, account)).status_code == 204
    assert await verified_at(api, account) is not None


@pytest.mark.settings(SMTP_URL=None)
async def test_without_a_mail_server_a_registration_mails_nothing(
    api: Api, database: Database
) -> None:
    await api.register()

    rows = await all_rows(database)
    assert (rows["mailed_links"], rows["jobs"]) == ([], [])


async def test_a_refused_registration_mails_nothing(
    api: Api, app: FastAPI, account: Account, database: Database
) -> None:
    before = await rows_but_the_audit_log(database)
    body = {"email": account.email, "password": "correct horse battery"}

    problem(await api.client.post("/api/v1/auth/register", json=body), 409, "email_taken")

    assert await rows_but_the_audit_log(database) == before


@pytest.mark.settings(REGISTRATION_BY_MAIL=True)
async def test_an_account_registered_by_mail_is_verified(api: Api) -> None:
    email = "ada@example.com"
    body = {"email": email, "password": "correct horse battery"}
    await api.client.post("/api/v1/auth/register", json=body)
    token = (await api.server.next()).text.partition("#token=")[2].split()[0]

    confirmation = {"token": token, "password": body["password"]}
    confirmed = await api.client.post("/api/v1/auth/confirm-registration", json=confirmation)

    assert confirmed.json()["data"]["email_verified_at"] is not None


async def test_a_requested_link_verifies_the_address(
    api: Api, account: Account, token: str, database: Database
) -> None:
    assert (await api.verify(token, account)).status_code == 204

    first = await verified_at(api, account)
    assert first is not None
    assert (await api.me(account.access_token)).status_code == 200
    assert await events(database, "request_email_verification", "verify_email") == [
        ("request_email_verification", None, account.public_id),
        ("verify_email", None, account.public_id),
    ]


async def test_a_verified_address_gets_no_further_link(
    api: Api, app: FastAPI, account: Account, token: str
) -> None:
    await api.verify(token, account)

    assert (await api.request_verification(account)).status_code == 202

    await app.state.jobs.join()
    assert api.server.waiting == 0


async def test_a_link_of_an_address_that_was_verified_meanwhile_changes_nothing(
    api: Api, account: Account, token: str, database: Database
) -> None:
    earlier = datetime(2026, 1, 31, 12, tzinfo=UTC)
    await set_columns(database, User, account.public_id, email_verified_at=earlier)

    assert (await api.verify(token, account)).status_code == 204

    assert await verified_at(api, account) == "2026-01-31T12:00:00Z"


# --- invalid links


async def test_a_link_without_a_login_changes_nothing(
    api: Api, account: Account, token: str, database: Database
) -> None:
    """EM4: a victim who opens it would verify the account that an attacker has registered."""
    before = await all_rows(database)

    assert_unauthorized(await api.verify(token))

    assert await all_rows(database) == before
    assert (await api.verify(token, account)).status_code == 204


async def test_a_link_with_the_login_of_another_account_changes_nothing(
    api: Api, app: FastAPI, account: Account, token: str, database: Database
) -> None:
    """EM4."""
    victim = await api.register()
    await app.state.jobs.join()
    before = await rows_but_the_audit_log(database)

    refused(await api.verify(token, victim))

    assert await rows_but_the_audit_log(database) == before
    assert (await events(database, "verify_email")) == [
        ("verify_email", "invalid_link", victim.public_id)
    ]
    assert (await api.verify(token, account)).status_code == 204


async def test_one_of_many_concurrent_uses_verifies_the_address(
    api: Api, account: Account, token: str
) -> None:
    """EM1."""
    answers = await asyncio.gather(*[api.verify(token, account) for _ in range(CALLERS)])

    assert sorted(answer.status_code for answer in answers) == [204] + [400] * (CALLERS - 1)


async def test_a_link_expires_after_a_day(api: Api, account: Account, token: str) -> None:
    """EM1: though its account can still log in."""
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=25), tick=False):
        refused(await api.verify(token, await api.login(account)))
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=23), tick=False):
        assert (await api.verify(token, await api.login(account))).status_code == 204


async def test_a_newer_link_voids_the_earlier_one(
    api: Api, account: Account, token: str, database: Database
) -> None:
    """EM1."""
    newer = await api.verification_token(account)

    refused(await api.verify(token, account))
    assert len((await all_rows(database))["mailed_links"]) == 1
    assert (await api.verify(newer, account)).status_code == 204


async def test_tokens_of_other_kinds_verify_nothing(api: Api, account: Account, token: str) -> None:
    """EM1, JW3: and the link sets no password."""
    reset = await api.reset_token(account.email)
    answers = [
        refused(await api.verify(each, account))
        for each in ("x", token[1:], reset, account.access_token, account.refresh_token)
    ]

    assert all(answer == answers[0] for answer in answers)
    refused(await api.reset(token))
    assert_unauthorized(await api.me(token))
    assert_unauthorized(await api.refresh(token), "invalid_refresh_token")
    for field, value in (("token", ""), ("token", "nul\0"), ("email", "a@example.com")):
        body = {"token": token, field: value}
        response = await api.client.post(VERIFY, json=body, headers=account.headers)
        assert faulty_fields(response) == [["body", field]]


@pytest.mark.settings(RATE_LIMIT_ENABLED=True)
async def test_the_sixth_link_to_an_address_is_refused(api: Api, account: Account) -> None:
    """LG4: otherwise a mailbox could be flooded."""
    for _ in range(5):
        assert (await api.request_verification(account)).status_code == 202

    problem(await api.request_verification(account), 429, "too_many_requests")


@on_sqlite
@pytest.mark.parametrize("step", ["request", "use"])
async def test_an_account_that_is_deleted_during_the_request_is_401(
    api: Api, account: Account, token: str, database: Database, step: str
) -> None:
    """JW5: its session was looked up before the deletion, which the request then waits for."""
    with counted_statements(database) as statements:

        async def is_looked_up() -> bool:
            return any("session_user_id" in each for each in statements)

        async with database.sessions.begin() as session:
            await session.execute(
                update(User).where(User.public_id == account.public_id).values(is_deleted=True)
            )
            call = (
                api.request_verification(account)
                if step == "request"
                else api.verify(token, account)
            )
            waiting = asyncio.create_task(call)
            await until(is_looked_up)

    assert_unauthorized(await waiting)


@pytest.mark.settings(RATE_LIMIT_ENABLED=True)
async def test_repeated_refusals_are_audited_once(
    api: Api, account: Account, database: Database
) -> None:
    """A logged-in client must not fill the audit log."""
    for number in range(3):
        refused(await api.verify(f"junk {number}", account))

    assert await events(database, "verify_email") == [
        ("verify_email", "invalid_link", account.public_id)
    ]
