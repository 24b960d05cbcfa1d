"""Opening the mailed link: an account, once."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from fastapi import FastAPI
from httpx2 import Response
from sqlalchemy import select

from app.core.config import Settings
from app.core.security import registration_token
from app.core.security.encryption import EncryptionService
from app.core.state import Collaborators
from app.db.session import Database
from app.models import AuditEvent, User
from tests.support.api import PASSWORD
from tests.support.applications import client_from, new_address, running
from tests.support.mail_registration import CONFIRM, MailApi
from tests.support.problems import faulty_fields, problem
from tests.support.table_rows import all_rows, rows_but_the_audit_log
from tests.support.tokens import session_id

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
    """The refusal, without what differs in each answer."""
    body = problem(response, 400, "invalid_registration_token")
    return {name: body[name] for name in body.keys() - {"request_id", "instance"}}


async def outcomes(database: Database) -> list[tuple[str, str, str | None]]:
    async with database.read_sessions() as session:
        rows = await session.scalars(select(AuditEvent).order_by(AuditEvent.id))
        return [(row.action, row.operation, row.reason) for row in rows]


# --- a good link


async def test_the_link_makes_the_account_that_was_asked_for(api: MailApi, token: str) -> None:
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
    """LG3: whoever opens it has proved the mailbox, and no password."""
    response = await api.confirm(token)

    assert "token" not in response.text
    assert "set-cookie" not in response.headers
    assert (await all_rows(database))["refresh_tokens"] == []


async def test_a_link_of_before_a_change_of_the_key_is_good(
    api: MailApi, token: str, settings: Settings
) -> None:
    """DR1."""
    new_key = {"SECRET_KEY": secrets.token_urlsafe(48)}
    values = settings.model_dump(exclude_unset=True) | new_key
    values["SECRET_KEY_PREVIOUS"] = [settings.SECRET_KEY]
    async with running(Settings(_env_file=None, **values)) as client:
        assert (await client.post(CONFIRM, json={"token": token})).status_code == 201


# --- a link that is none


async def test_a_link_ends_with_its_lifetime(api: MailApi, token: str) -> None:
    """LG3."""
    now = datetime.now(UTC)
    with time_machine.travel(now + timedelta(minutes=59), tick=False):
        other = await api.mailed_token("other@example.com")
    with time_machine.travel(now + timedelta(minutes=61), tick=False):
        refused(await api.confirm(token))
        assert (await api.confirm(other)).status_code == 201


@pytest.mark.settings(REGISTRATION_LINK_EXPIRE_MINUTES=5)
async def test_the_lifetime_is_the_settings(api: MailApi, token: str) -> None:
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=6), tick=False):
        refused(await api.confirm(token))


async def test_what_is_no_token_is_refused_with_one_answer(
    api: MailApi, token: str, collaborators: Collaborators, database: Database
) -> None:
    """LG3: garbage, damaged, of another key, another purpose, another kind, another release."""
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


async def test_a_refused_link_is_told_in_the_audit_log(api: MailApi, database: Database) -> None:
    """AU1."""
    await api.confirm("garbage")

    event = ("register", "confirm_registration", "invalid_registration_token")
    assert await outcomes(database) == [event]


@pytest.mark.settings(RATE_LIMIT_ENABLED=True, AUTH_RATE_LIMIT_ADDRESS="2/minute")
async def test_garbage_does_not_fill_the_audit_log(api: MailApi, database: Database) -> None:
    """AU3: what an address may try is written, and once that there was more."""
    for _ in range(5):
        await api.confirm("garbage")

    assert len(await outcomes(database)) == 3


@pytest.mark.settings(RATE_LIMIT_ENABLED=True, AUTH_RATE_LIMIT_ADDRESS="3/minute")
async def test_confirmations_are_limited_by_address(
    api: MailApi, token: str, app: FastAPI, database: Database
) -> None:
    """LG4: the mail was the first attempt from here; from elsewhere the link is good."""
    for _ in range(2):
        refused(await api.confirm("garbage"))
    problem(await api.confirm(token), 429, "too_many_requests")
    assert (await outcomes(database))[-1][2] == "too_many_requests"

    async with client_from(new_address(), app) as elsewhere:
        assert (await elsewhere.post(CONFIRM, json={"token": token})).status_code == 201


@pytest.mark.settings(RATE_LIMIT_ENABLED=True)
async def test_who_has_confirmed_may_log_in_however_many_mails_were_asked_for(
    api: MailApi,
) -> None:
    """LG5."""
    tokens = [await api.mailed_token(EMAIL) for _ in range(5)]
    assert (await api.confirm(tokens[0])).status_code == 201

    assert (await api.try_login(EMAIL, PASSWORD)).status_code == 200


async def test_returns_422_for_what_a_confirmation_must_not_say(api: MailApi, token: str) -> None:
    """AZ4."""
    for field, value in (
        *(("role", "admin"), ("email", EMAIL), ("password", PASSWORD), ("public_id", "x")),
        *(("token", ""), ("token", 7), ("token", "nul\0"), ("token", "x" * 8193)),
    ):
        response = await api.client.post(CONFIRM, json={"token": token, field: value})
        assert faulty_fields(response) == [["body", field]]


# --- a link that was good


async def test_a_link_works_once(api: MailApi, token: str, database: Database) -> None:
    """LG3: its second use is told that there is an account, which is what it is."""
    await api.confirm(token)
    before = await rows_but_the_audit_log(database)

    problem(await api.confirm(token), 409, "email_taken")
    assert await rows_but_the_audit_log(database) == before


async def test_of_two_links_for_an_address_one_makes_the_account(
    api: MailApi, token: str, database: Database
) -> None:
    """LG3: in another spelling, too."""
    other = await api.mailed_token("ADA@example.com", password="another password")
    await api.confirm(other)

    problem(await api.confirm(token), 409, "email_taken")
    assert (await api.try_login(EMAIL, "another password")).status_code == 200


async def test_a_used_link_does_not_bring_a_deleted_account_back(
    api: MailApi, token: str, database: Database
) -> None:
    """LG3: though the address is free again, for a new registration."""
    await api.confirm(token)
    tokens = (await api.try_login(EMAIL, PASSWORD)).json()["data"]
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    body = {"password": PASSWORD}
    gone = await api.client.request("DELETE", "/api/v1/users/me", json=body, headers=headers)
    assert gone.status_code == 204

    refused(await api.confirm(token))
    problem(await api.try_login(EMAIL, PASSWORD), 401, "invalid_credentials")
    assert (await api.confirm(await api.mailed_token(EMAIL))).status_code == 201


async def test_of_many_confirmations_at_once_one_makes_the_account(
    api: MailApi, token: str, database: Database
) -> None:
    """LG3, RC1: with one link and with many, and the others are told 409."""
    tokens = [token] * (CALLERS // 2)
    tokens += [await api.mailed_token(EMAIL) for _ in range(CALLERS // 2)]

    answers = await asyncio.gather(*[api.confirm(each) for each in tokens])

    assert sorted(a.status_code for a in answers) == [201] + [409] * (CALLERS - 1)
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"email_taken"}
    assert len((await all_rows(database))["users"]) == 1


async def test_of_many_uses_of_one_link_at_once_one_makes_the_account(
    api: MailApi, token: str, database: Database
) -> None:
    """LG3, RC1."""
    answers = await asyncio.gather(*[api.confirm(token) for _ in range(CALLERS)])

    assert sorted(a.status_code for a in answers) == [201] + [409] * (CALLERS - 1)
    assert len((await all_rows(database))["users"]) == 1


# --- the audit log


async def test_both_steps_are_told_with_their_outcomes(api: MailApi, database: Database) -> None:
    """AU1: asked for, done, too late; asked for an address that is taken."""
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


async def test_the_confirmation_is_told_with_the_account(api: MailApi, database: Database) -> None:
    """AU1, AU4: and the step before it with none, as there is none yet."""
    account = await api.register(EMAIL)

    async with database.read_sessions() as session:
        asked, done, login = await session.scalars(select(AuditEvent).order_by(AuditEvent.id))
        user = (await session.scalars(select(User))).one()
    assert (asked.actor_public_id, asked.account_public_id) == (None, None)
    assert (done.actor_public_id, done.account_public_id) == (user.public_id, user.public_id)
    assert done.session_public_id is None
    assert login.session_public_id == session_id(account.tokens)
