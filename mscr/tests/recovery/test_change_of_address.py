"""A change of address: asked for after a fresh login, confirmed at the new address."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from fastapi import FastAPI

from examples.catalogue.db.session import Database
from examples.catalogue.models import User
from mscr.testing.api import PASSWORD, Account
from mscr.testing.problems import assert_unauthorized, faulty_fields, problem
from mscr.testing.recovery import CHANGE, NEW_PASSWORD
from mscr.testing.table_rows import all_rows, rows_but_the_audit_log, set_columns
from mscr.testing.tokens import counted_statements, what_opens
from mscr.testing.waiting import PATIENCE
from mscr.tests.recovery.api import CatalogueApi as Api
from mscr.tests.recovery.records import events, refused, user_of

NEW = "Ada@example.org"
CALLERS = 20


@pytest.fixture
async def token(api: Api, account: Account) -> str:
    return await api.change_token(account, NEW)


async def email_of(api: Api, account: Account) -> str:
    return str((await api.me(account.access_token)).json()["data"]["email"])


# --- the change


async def test_the_link_in_the_new_mailbox_changes_the_address(
    api: Api, account: Account, token: str, database: Database
) -> None:
    """EM5."""
    assert await email_of(api, account) == account.email

    assert (await api.verify(token, account)).status_code == 204

    user = await user_of(account, database)
    assert (user.email, user.email_key) == (NEW, "ada@example.org")
    assert user.email_verified_at is not None
    assert await email_of(api, account) == NEW
    assert (await api.try_login(NEW, PASSWORD)).status_code == 200
    assert_unauthorized(await api.try_login(account.email, PASSWORD), "invalid_credentials")


async def test_a_change_ends_the_sessions_of_other_devices(
    api: Api, account: Account, token: str
) -> None:
    """EM5: the one that confirms it goes on."""
    other = await api.login(account)

    await api.verify(token, account)

    assert await what_opens(api, other.tokens) == []
    assert await what_opens(api, account.tokens) == ["access_token", "refresh_token"]


async def test_the_former_address_is_notified_of_a_change(
    api: Api, app: FastAPI, account: Account, token: str
) -> None:
    """EM5: its owner may not have asked for it."""
    refused(await api.verify(f"{token}x", account))
    await api.verify(token, account)

    mail = await api.server.next()
    await app.state.jobs.join()
    assert (mail.recipients, api.server.waiting) == ([account.email], 0)
    assert NEW not in mail.text


async def test_links_to_the_old_address_are_void_after_a_change(
    api: Api, account: Account, token: str
) -> None:
    """EM1, EM5."""
    reset = await api.reset_token(account.email)
    await api.verify(token, account)

    refused(await api.reset(reset))
    assert (await api.reset(await api.reset_token(NEW))).status_code == 204


async def test_another_spelling_of_the_address_is_a_change_too(
    api: Api, account: Account, database: Database
) -> None:
    """LG10."""
    token = await api.change_token(account, "ADA@example.com")
    await api.verify(token, account)

    user = await user_of(account, database)
    assert (user.email, user.email_key) == ("ADA@example.com", "ada@example.com")


async def test_the_present_address_is_verified_and_stays(
    api: Api, account: Account, database: Database
) -> None:
    other = await api.login(account)
    token = await api.change_token(account, account.email)
    await api.verify(token, account)

    user = await user_of(account, database)
    assert user.email == account.email
    assert user.email_verified_at is not None
    assert await what_opens(api, other.tokens) != []


async def test_an_internationalized_address_is_one_identity(
    api: Api, account: Account, database: Database
) -> None:
    """LG10: the mail goes to its A-labels, and the key has them."""
    assert (await api.change_email(account, " ada@b\xfccher.example.com ")).status_code == 202
    mail = await api.server.next_to("ada@xn--bcher-kva.example.com")
    await api.verify(mail.text.partition("#token=")[2].split()[0], account)

    user = await user_of(account, database)
    assert user.email == "ada@b\xfccher.example.com"
    assert user.email_key == "ada@xn--bcher-kva.example.com"


async def test_an_invalid_address_is_422(api: Api, account: Account) -> None:
    for email in ("no address", "a@b@c.org", "a@localhost", "", f"{'x' * 250}@e.org"):
        assert faulty_fields(await api.change_email(account, email)) == [["body", "email"]]
    body = {"email": NEW, "role": "admin"}
    response = await api.client.post(CHANGE, json=body, headers=account.headers)
    assert faulty_fields(response) == [["body", "role"]]


# --- who may change it


async def test_an_old_login_cannot_request_a_change(
    api: Api, account: Account, database: Database
) -> None:
    """SE3."""
    before = await rows_but_the_audit_log(database)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=16), tick=False):
        refreshed = (await api.refresh(account.refresh_token)).json()["data"]
        caller = Account(account.email, account.public_id, refreshed)
        problem(await api.change_email(caller, NEW), 403, "reauthentication_required")

    assert (await all_rows(database))["mailed_links"] == before["mailed_links"]


async def test_only_the_account_that_asked_can_confirm_it(
    api: Api, app: FastAPI, account: Account, token: str, database: Database
) -> None:
    """EM4, EM5: otherwise a victim could get the address into an account that is not hers."""
    victim = await api.register(NEW)
    await app.state.jobs.join()
    before = await rows_but_the_audit_log(database)

    assert_unauthorized(await api.verify(token))
    refused(await api.verify(token, victim))

    assert await rows_but_the_audit_log(database) == before


@pytest.mark.parametrize("end", ["change-password", "logout-all", "reset"])
async def test_a_change_that_a_thief_has_requested_dies_with_the_sessions(
    api: Api, account: Account, token: str, database: Database, end: str
) -> None:
    """EM2, EM5: otherwise the owner could be led to the link, and would confirm it."""
    owner = await api.login(account)
    if end == "reset":
        await api.reset(await api.reset_token(account.email))
    elif end == "logout-all":
        await api.client.post("/api/v1/auth/logout-all", headers=owner.headers)
    else:
        body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
        path = "/api/v1/users/me/change-password"
        await api.client.post(path, json=body, headers=owner.headers)
    password = PASSWORD if end == "logout-all" else NEW_PASSWORD
    owner = await api.login(Account(account.email, account.public_id, {}, password))

    refused(await api.verify(token, owner))

    assert (await user_of(account, database)).email == account.email


# --- taken addresses


async def test_the_response_does_not_reveal_a_taken_address(
    api: Api, app: FastAPI, account: Account, database: Database
) -> None:
    """EM5, EM3: the same body, and the same statements (timing side channel)."""
    other, inactive = await api.register(), await api.register()
    await set_columns(database, User, inactive.public_id, is_active=False)
    await app.state.jobs.close(within=PATIENCE)
    answers, asked = [], []
    for email in (NEW, other.email, inactive.email):
        with counted_statements(database) as statements:
            answers.append(await api.change_email(account, email))
        asked.append([each for each in statements if "logged" not in each])

    assert {answer.status_code for answer in answers} == {202}
    assert len({(a.content, tuple(sorted(a.headers.items()))) for a in answers}) == 1
    assert asked[0] == asked[1] == asked[2]


async def test_the_owner_of_a_taken_address_gets_a_notice_without_a_link(
    api: Api, app: FastAPI, account: Account, database: Database
) -> None:
    """EM5: at the account's own spelling."""
    other = await api.register("Bob@example.com")
    await api.server.next_to(other.email)

    await api.change_email(account, "BOB@example.com")

    mail = await api.server.next()
    await app.state.jobs.join()
    assert (mail.recipients, api.server.waiting) == ([other.email], 0)
    assert mail.message["Subject"] == "You have an account at Catalogue"
    assert "#token=" not in mail.message.as_string()
    assert (await user_of(account, database)).email == account.email


async def test_an_address_that_was_taken_meanwhile_is_409_and_the_link_stays_valid(
    api: Api, account: Account, token: str, database: Database
) -> None:
    """EM5."""
    other = await api.register(NEW)

    problem(await api.verify(token, account), 409, "email_taken")

    assert (await user_of(account, database)).email == account.email
    await api.delete_account(other)
    assert (await api.verify(token, account)).status_code == 204


async def test_one_of_many_concurrent_changes_and_registrations_gets_the_address(
    api: Api, database: Database
) -> None:
    """EM5, RC1: the others get 409, and no 5xx."""
    accounts = [await api.register() for _ in range(CALLERS // 2)]
    tokens = [await api.change_token(each, NEW) for each in accounts]
    body = {"email": NEW, "password": PASSWORD}

    answers = await asyncio.gather(
        *[api.verify(*each) for each in zip(tokens, accounts, strict=True)],
        *[api.client.post("/api/v1/auth/register", json=body) for _ in range(CALLERS // 2)],
    )

    statuses = [answer.status_code for answer in answers]
    assert len([status for status in statuses if status in {201, 204}]) == 1
    assert statuses.count(409) == CALLERS - 1
    users = (await all_rows(database))["users"]
    assert len([row for row in users if "ada@example.org" in row]) == 1


# --- records


async def test_requests_and_changes_are_audited(
    api: Api, account: Account, token: str, database: Database
) -> None:
    """AU1."""
    other = await api.register()
    await api.verify(token, account)
    await api.change_email(account, other.email)
    last = await api.change_token(account, "third@example.org")
    third = await api.register("third@example.org")
    await api.verify(last, account)

    assert third.public_id
    assert await events(database, "request_email_change", "change_email") == [
        ("request_email_change", None, account.public_id),
        ("change_email", None, account.public_id),
        ("request_email_change", "email_taken", account.public_id),
        ("request_email_change", None, account.public_id),
        ("change_email", "email_taken", account.public_id),
    ]


@pytest.mark.settings(RATE_LIMIT_ENABLED=True)
async def test_the_sixth_mail_to_a_new_address_is_refused_whether_taken_or_free(
    api: Api, account: Account
) -> None:
    """EM5, LG4."""
    other = await api.register()
    for email in (NEW, other.email):
        for _ in range(5):
            assert (await api.change_email(account, email)).status_code == 202
        problem(await api.change_email(account, email), 429, "too_many_requests")
