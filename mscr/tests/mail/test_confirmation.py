"""Confirmation of a registration: the mailed link creates the account, once."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from fastapi import FastAPI
from httpx2 import Response
from sqlalchemy import select

from examples.catalogue.core.config import Settings
from examples.catalogue.db.session import Database
from examples.catalogue.main import create_app
from examples.catalogue.models.kit_tables import AuditEvent
from examples.catalogue.models.user import User
from mscr.collaborators import Collaborators
from mscr.core.security import registration_token
from mscr.core.security.encryption import EncryptionService
from mscr.testing.api import PASSWORD
from mscr.testing.applications import client_from, new_address, running
from mscr.testing.mail_registration import CONFIRM
from mscr.testing.problems import faulty_fields, problem
from mscr.testing.table_rows import all_rows, rows_but_the_audit_log
from mscr.testing.tokens import session_id
from mscr.tests.mail.api import MailApi

EMAIL = "Ada@example.com"
CALLERS = 20


@pytest.fixture
async def token(api: MailApi) -> str:
    return await api.mailed_token(EMAIL, full_name="Ada Lovelace")


@pytest.fixture
def collaborators(app: FastAPI) -> Collaborators:
    found: Collaborators = app.state.collaborators
    return found


def refused(response: Response) -> dict[str, Any]:
    """Check that the link was refused, and return the problem without its request id."""
    body = problem(response, 400, "invalid_registration_token")
    return {name: body[name] for name in body.keys() - {"request_id", "instance"}}


async def outcomes(database: Database) -> list[tuple[str, str, str | None]]:
    async with database.read_sessions() as session:
        rows = await session.scalars(select(AuditEvent).order_by(AuditEvent.id))
        return [(row.action, row.operation, row.reason) for row in rows]


# --- valid links


async def test_the_link_creates_the_requested_account(api: MailApi, token: str) -> None:
    """LG3."""
    response = await api.confirm(token)

    assert response.status_code == 201
    assert response.json()["data"].items() >= {
        ("email", EMAIL),
        ("full_name", "Ada Lovelace"),
        ("role", "user"),
        ("is_active", True),
    }
    assert (await api.try_login(EMAIL, PASSWORD)).status_code == 200


async def test_the_link_does_not_log_in(api: MailApi, token: str, database: Database) -> None:
    """LG3: the response has no token, no cookie and no session."""
    response = await api.confirm(token)

    assert "token" not in response.text
    assert "set-cookie" not in response.headers
    assert (await all_rows(database))["refresh_tokens"] == []


async def test_a_link_from_before_a_key_rotation_is_valid(
    api: MailApi, token: str, settings: Settings
) -> None:
    """DR1."""
    new_key = {"SECRET_KEY": secrets.token_urlsafe(48)}
    values = settings.model_dump(exclude_unset=True) | new_key
    values["SECRET_KEY_PREVIOUS"] = [settings.SECRET_KEY]
    async with running(create_app(Settings.from_env_file(None, **values))) as client:
        body = {"token": token, "password": PASSWORD}
        assert (await client.post(CONFIRM, json=body)).status_code == 201


# --- links that somebody else has requested


async def test_a_strangers_password_opens_no_account_of_the_mailbox(
    api: MailApi, token: str, database: Database
) -> None:
    """EM4 (account pre-hijacking): whichever link is opened, only its own password counts."""
    strangers = await api.mailed_token(EMAIL, password="a stranger's password")

    problem(await api.confirm(strangers), 403, "wrong_password")
    problem(await api.confirm(token, "a stranger's password"), 403, "wrong_password")
    problem(await api.try_login(EMAIL, "a stranger's password"), 401, "invalid_credentials")
    assert (await all_rows(database))["users"] == []

    assert (await api.confirm(token)).status_code == 201
    problem(await api.try_login(EMAIL, "a stranger's password"), 401, "invalid_credentials")
    assert (await api.try_login(EMAIL, PASSWORD)).status_code == 200


async def test_a_wrong_password_does_not_use_the_link(api: MailApi, database: Database) -> None:
    """AU1: and it is in the audit log."""
    token = await api.mailed_token(EMAIL)

    problem(await api.confirm(token, "another password"), 403, "wrong_password")

    assert (await outcomes(database))[-1] == ("register", "confirm_registration", "wrong_password")
    assert (await api.confirm(token)).status_code == 201


@pytest.mark.settings(RATE_LIMIT_ENABLED=True, AUTH_RATE_LIMIT_ADDRESS="3/minute")
async def test_guesses_of_the_password_are_limited_by_address(api: MailApi, token: str) -> None:
    """LG4: asking for the mail counted as the first attempt."""
    for _ in range(2):
        problem(await api.confirm(token, "another password"), 403, "wrong_password")
    problem(await api.confirm(token), 429, "too_many_requests")


# --- invalid links


async def test_a_link_expires(api: MailApi, token: str) -> None:
    """LG3."""
    now = datetime.now(UTC)
    with time_machine.travel(now + timedelta(minutes=59), tick=False):
        other = await api.mailed_token("other@example.com")
    with time_machine.travel(now + timedelta(minutes=61), tick=False):
        refused(await api.confirm(token))
        assert (await api.confirm(other)).status_code == 201


@pytest.mark.settings(REGISTRATION_LINK_EXPIRE_MINUTES=5)
async def test_the_lifetime_of_a_link_is_a_setting(api: MailApi, token: str) -> None:
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=6), tick=False):
        refused(await api.confirm(token))


async def test_all_invalid_tokens_get_the_same_response(
    api: MailApi, token: str, collaborators: Collaborators, database: Database
) -> None:
    """LG3: garbage, damaged, and of another key, purpose, kind or release."""
    account = await api.register("other@example.com")
    ours = collaborators.encryption
    theirs = EncryptionService([secrets.token_bytes(32)])
    context = registration_token.CONTEXT
    claims = ours.decrypt(token, context=context)
    before = await rows_but_the_audit_log(database)
    tokens = [
        *("x", " ", "\xe4", token[:-4], token[1:], f"{token[:99]}AAAA{token[103:]}"),
        *(account.access_token, account.refresh_token),
        theirs.encrypt(claims, context=context),
        ours.encrypt(claims, context="users:0190:totp_seed"),
        ours.encrypt(claims, context=""),
        ours.encrypt("not JSON", context=context),
        ours.encrypt('{"email": "eve@example.com"}', context=context),
    ]

    answers = [refused(await api.confirm(each)) for each in tokens]

    assert all(answer == answers[0] for answer in answers)
    assert await rows_but_the_audit_log(database) == before
    assert (await api.confirm(token)).status_code == 201


async def test_a_refused_link_is_in_the_audit_log(api: MailApi, database: Database) -> None:
    """AU1."""
    await api.confirm("garbage")

    event = ("register", "confirm_registration", "invalid_registration_token")
    assert await outcomes(database) == [event]


@pytest.mark.settings(RATE_LIMIT_ENABLED=True, AUTH_RATE_LIMIT_ADDRESS="2/minute")
async def test_garbage_does_not_fill_the_audit_log(api: MailApi, database: Database) -> None:
    """AU3: attempts within the limit are logged, and then once that the limit was exceeded."""
    for _ in range(5):
        await api.confirm("garbage")

    assert len(await outcomes(database)) == 3


@pytest.mark.settings(RATE_LIMIT_ENABLED=True, AUTH_RATE_LIMIT_ADDRESS="3/minute")
async def test_confirmations_are_limited_by_address(
    api: MailApi, token: str, app: FastAPI, database: Database
) -> None:
    """LG4: asking for the mail counted as the first attempt; other clients are not limited."""
    for _ in range(2):
        refused(await api.confirm("garbage"))
    problem(await api.confirm(token), 429, "too_many_requests")
    assert (await outcomes(database))[-1][2] == "too_many_requests"

    async with client_from(new_address(), app) as elsewhere:
        body = {"token": token, "password": PASSWORD}
        assert (await elsewhere.post(CONFIRM, json=body)).status_code == 201


@pytest.mark.settings(RATE_LIMIT_ENABLED=True)
async def test_a_confirmed_account_may_log_in_after_many_requested_mails(
    api: MailApi,
) -> None:
    """LG5."""
    tokens = [await api.mailed_token(EMAIL) for _ in range(5)]
    assert (await api.confirm(tokens[0])).status_code == 201

    assert (await api.try_login(EMAIL, PASSWORD)).status_code == 200


async def test_a_confirmation_with_other_fields_or_a_malformed_token_is_422(
    api: MailApi, token: str
) -> None:
    """AZ4."""
    for field, value in (
        *(("role", "admin"), ("email", EMAIL), ("public_id", "x")),
        *(("token", ""), ("token", 7), ("token", "nul\0"), ("token", "x" * 8193)),
        *(("password", 7), ("password", "nul\0"), ("password", "x" * 10_000)),
    ):
        body = {"token": token, "password": PASSWORD, field: value}
        assert faulty_fields(await api.client.post(CONFIRM, json=body)) == [["body", field]]


# --- used links


async def test_a_link_works_once(api: MailApi, token: str, database: Database) -> None:
    """LG3, LG4: then it is 409 with any password, and so no way to guess that of the account."""
    await api.confirm(token)
    before = await rows_but_the_audit_log(database)

    for password in (PASSWORD, "another password"):
        problem(await api.confirm(token, password), 409, "email_taken")
    assert await rows_but_the_audit_log(database) == before


async def test_only_one_of_two_links_for_an_address_creates_the_account(
    api: MailApi, token: str, database: Database
) -> None:
    """LG3: also for another spelling of the address."""
    other = await api.mailed_token("ADA@example.com", password="another password")
    await api.confirm(other, "another password")

    problem(await api.confirm(token), 409, "email_taken")
    assert (await api.try_login(EMAIL, "another password")).status_code == 200


async def test_a_used_link_does_not_bring_a_deleted_account_back(
    api: MailApi, token: str, database: Database
) -> None:
    """LG3: though the address is free again for a new registration."""
    await api.confirm(token)
    tokens = (await api.try_login(EMAIL, PASSWORD)).json()["data"]
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    body = {"password": PASSWORD}
    gone = await api.client.request("DELETE", "/api/v1/users/me", json=body, headers=headers)
    assert gone.status_code == 204

    refused(await api.confirm(token))
    problem(await api.try_login(EMAIL, PASSWORD), 401, "invalid_credentials")
    assert (await api.confirm(await api.mailed_token(EMAIL))).status_code == 201


async def test_one_of_many_concurrent_confirmations_creates_the_account(
    api: MailApi, token: str, database: Database
) -> None:
    """LG3, RC1: with one link and with several for the same address; the losers get 409."""
    tokens = [token] * (CALLERS // 2)
    tokens += [await api.mailed_token(EMAIL) for _ in range(CALLERS // 2)]

    answers = await asyncio.gather(*[api.confirm(each) for each in tokens])

    assert sorted(a.status_code for a in answers) == [201] + [409] * (CALLERS - 1)
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"email_taken"}
    assert len((await all_rows(database))["users"]) == 1


async def test_one_of_many_concurrent_uses_of_a_link_creates_the_account(
    api: MailApi, token: str, database: Database
) -> None:
    """LG3, RC1."""
    answers = await asyncio.gather(*[api.confirm(token) for _ in range(CALLERS)])

    assert sorted(a.status_code for a in answers) == [201] + [409] * (CALLERS - 1)
    assert len((await all_rows(database))["users"]) == 1


# --- the audit log


async def test_both_steps_are_audited_with_their_outcomes(api: MailApi, database: Database) -> None:
    """AU1: requested, confirmed, confirmed again, and requested for a taken address."""
    token = await api.mailed_token(EMAIL)
    await api.confirm(token)
    await api.confirm(token)
    await api.mail_for(EMAIL)

    assert await outcomes(database) == [
        ("request_registration", "register", None),
        ("register", "confirm_registration", None),
        ("register", "confirm_registration", "email_taken"),
        ("register", "register", "email_taken"),
    ]


async def test_the_confirmation_is_audited_with_the_account(
    api: MailApi, database: Database
) -> None:
    """AU1, AU4: the request before it has no account, because none exists yet."""
    account = await api.register(EMAIL)

    async with database.read_sessions() as session:
        asked, done, login = await session.scalars(select(AuditEvent).order_by(AuditEvent.id))
        user = (await session.scalars(select(User))).one()
    assert (asked.actor_public_id, asked.account_public_id) == (None, None)
    assert (done.actor_public_id, done.account_public_id) == (user.public_id, user.public_id)
    assert done.session_public_id is None
    assert login.session_public_id == session_id(account.tokens)
