"""Forgotten passwords: a mailed link sets a new one, and responses reveal no account."""

import asyncio
import io
import secrets
import time
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import pytest
import time_machine
from fastapi import FastAPI
from sqlalchemy import select, update

from examples.catalogue.core.config import Settings
from examples.catalogue.db.session import Database
from examples.catalogue.models import AuditEvent, Job, User
from mscr.core.settings_fields import Environment
from mscr.jobs.mails import SEND_MAIL
from mscr.jobs.runner import JobRunner
from mscr.models.account import UNUSABLE_PASSWORD_HASH
from mscr.models.mailed_link import LinkPurpose
from mscr.repositories.job_repository import JobRepository
from mscr.services.password_reset_service import ISSUE_RESET_LINK
from mscr.testing.api import PASSWORD, Account
from mscr.testing.databases import on_sqlite
from mscr.testing.mail_registration import CONFIRM, PUBLIC_URL
from mscr.testing.problems import assert_unauthorized, faulty_fields, problem
from mscr.testing.recovery import FORGOT, NEW_PASSWORD, RESET, link_in
from mscr.testing.table_rows import all_rows, rows_but_the_audit_log, set_columns
from mscr.testing.tokens import counted_statements, live_sessions, what_opens
from mscr.testing.waiting import PATIENCE
from mscr.tests.recovery.api import CatalogueApi as Api
from mscr.tests.recovery.records import events, refused, user_of

UNKNOWN = "nobody@example.com"
CALLERS = 20
CHANGED_LATER = ("is_active", "email")


@pytest.fixture
async def token(api: Api, account: Account) -> str:
    return await api.reset_token(account.email)


# --- the new password


async def test_the_link_sets_a_new_password(api: Api, account: Account, token: str) -> None:
    """EM2."""
    response = await api.reset(token)

    assert (response.status_code, response.content) == (204, b"")
    assert_unauthorized(await api.try_login(account.email, PASSWORD), "invalid_credentials")
    assert (await api.try_login(account.email, NEW_PASSWORD)).status_code == 200


async def test_a_reset_ends_every_session(
    api: Api, account: Account, token: str, database: Database
) -> None:
    """EM2, JW5: access and refresh tokens are refused at their next use."""
    other = await api.login(account)

    await api.reset(token)

    assert await live_sessions(database, account) == 0
    assert await what_opens(api, account.tokens, other.tokens) == []


async def test_a_reset_does_not_log_in(api: Api, token: str, database: Database) -> None:
    """EM2."""
    before = (await all_rows(database))["refresh_tokens"]

    response = await api.reset(token)

    assert "set-cookie" not in response.headers
    assert (await all_rows(database))["refresh_tokens"] == before


async def test_the_owner_is_notified_of_a_reset(api: Api, account: Account, token: str) -> None:
    """EM2: but not of a refused one."""
    refused(await api.reset(f"{token}x"))
    await api.reset(token)

    mail = await api.server.next()
    assert mail.recipients == [account.email]
    assert mail.message["Subject"] == "Your password at Catalogue was changed"


async def test_a_reset_verifies_the_address(
    api: Api, account: Account, token: str, database: Database
) -> None:
    """EM4."""
    assert (await user_of(account, database)).email_verified_at is None

    await api.reset(token)

    verified_at = (await user_of(account, database)).email_verified_at
    assert verified_at is not None
    await api.reset(await api.reset_token(account.email), "yet another password")
    assert (await user_of(account, database)).email_verified_at == verified_at


async def test_the_owner_of_a_mailbox_takes_over_an_account_registered_with_it(
    api: Api, account: Account, database: Database
) -> None:
    """EM4: the attacker's password, sessions and pending links are void."""
    attacker = account
    stolen = await api.change_token(attacker, "eve@example.com")

    await api.reset(await api.reset_token(attacker.email))

    assert (await all_rows(database))["mailed_links"] == []
    assert_unauthorized(await api.try_login(attacker.email, PASSWORD), "invalid_credentials")
    assert await what_opens(api, attacker.tokens) == []
    owner = await api.login(Account(attacker.email, attacker.public_id, {}, NEW_PASSWORD))
    refused(await api.verify(stolen, owner))
    assert (await user_of(owner, database)).email == attacker.email


async def test_an_account_without_a_password_gets_one(
    api: Api, account: Account, database: Database
) -> None:
    await set_columns(database, User, account.public_id, password_hash=UNUSABLE_PASSWORD_HASH)

    await api.reset(await api.reset_token(account.email))

    assert (await api.try_login(account.email, NEW_PASSWORD)).status_code == 200


async def test_a_refused_password_leaves_the_link_valid(
    api: Api, account: Account, token: str, subtests: pytest.Subtests
) -> None:
    """EM2, PW1, PW3, PW4: short, long, common, and made of the address or the application."""
    for password in (
        "short",
        "x" * 257,
        "password1",
        account.email,
        "catalogue",
        "Ada@Example.com1",
    ):
        with subtests.test(password[:20]):
            assert faulty_fields(await api.reset(token, password)) == [["body", "password"]]

    assert (await api.try_login(account.email, PASSWORD)).status_code == 200
    assert (await api.reset(token)).status_code == 204


@pytest.mark.settings(RATE_LIMIT_ENABLED=True)
async def test_after_failed_logins_a_reset_lets_its_owner_in(api: Api, account: Account) -> None:
    """LG4, LG5: the mail is not refused, and the next login is not either."""
    for _ in range(5):
        await api.try_login(account.email, "wrong password")
    problem(await api.try_login(account.email, PASSWORD), 429, "too_many_requests")

    assert (await api.reset(await api.reset_token(account.email))).status_code == 204

    assert (await api.try_login(account.email, NEW_PASSWORD)).status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/users/me/change-password", "/api/v1/auth/logout-all"])
async def test_a_link_is_void_after_its_owner_has_ended_all_sessions(
    api: Api, account: Account, token: str, path: str
) -> None:
    """EM2: somebody else may have asked for the link, and the owner has reacted to the mail."""
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    ended = await api.client.post(
        path, headers=account.headers, json=body if path.endswith("password") else None
    )
    assert ended.is_success

    refused(await api.reset(token, "yet another password"))


@pytest.mark.parametrize("passed", [timedelta(0), timedelta(hours=5)])
async def test_a_late_attempt_at_a_request_leaves_the_link_of_a_newer_one(
    api: Api, app: FastAPI, account: Account, database: Database, passed: timedelta
) -> None:
    """EM1: an operator retries jobs of the past."""
    await app.state.jobs.close(within=PATIENCE)
    await api.forgot(account.email)
    async with database.sessions.begin() as session:
        await session.execute(update(Job).values(dead_at=datetime.now(UTC)))
    app.state.jobs = runner = JobRunner([ISSUE_RESET_LINK], app.state.collaborators, database)

    with time_machine.travel(datetime.now(UTC) + passed, tick=True):
        token = await api.reset_token(account.email)
        now = datetime.now(UTC)
        async with database.sessions.begin() as session:
            repo = JobRepository(session, database.tables)
            await repo.revive(now=now, until=now + timedelta(days=1), public_id=None)
        await runner.join()

        assert (await api.reset(token)).status_code == 204
    await runner.close(within=PATIENCE)


async def test_production_without_a_mail_server_logs_no_link(
    api: Api, app: FastAPI, account: Account, settings: Settings, log_output: io.StringIO
) -> None:
    """ER3: a worker may lack the SMTP_URL of the process that has added the mail."""
    await app.state.jobs.close(within=PATIENCE)
    await api.forgot(account.email)
    unconfigured = settings.model_copy(
        update={"ENVIRONMENT": Environment.PRODUCTION, "SMTP_URL": None}
    )
    parts = type(app.state.collaborators).from_settings(unconfigured)
    worker = JobRunner([ISSUE_RESET_LINK], parts, app.state.database)

    await worker.join()
    await worker.close(within=PATIENCE)

    assert "MailNotConfiguredError" in log_output.getvalue()
    assert "token=" not in log_output.getvalue()
    async with app.state.database.read_sessions() as session:
        [waiting] = await session.scalars(select(Job))
    assert (waiting.name, waiting.dead_at) == (SEND_MAIL.name, None)


# --- the response reveals nothing


async def test_the_response_is_identical_for_every_address(
    api: Api, account: Account, database: Database
) -> None:
    """EM3: also unverified, verified, without a password, inactive and deleted, and no address."""
    verified, no_password, inactive, deleted, kept = [await api.register() for _ in range(5)]
    await set_columns(database, User, verified.public_id, email_verified_at=datetime.now(UTC))
    await set_columns(database, User, no_password.public_id, password_hash=UNUSABLE_PASSWORD_HASH)
    await set_columns(database, User, inactive.public_id, is_active=False)
    await api.delete_account(deleted)
    await set_columns(database, User, kept.public_id, is_deleted=True)
    accounts = (account, verified, no_password, inactive, deleted, kept)

    answers = [
        await api.forgot(email)
        for email in (UNKNOWN, "no address", *(each.email for each in accounts))
    ]

    assert {answer.status_code for answer in answers} == {202}
    assert len({(a.content, tuple(sorted(a.headers.items()))) for a in answers}) == 1


async def test_the_account_is_not_looked_up_before_the_response(
    api: Api, app: FastAPI, account: Account, database: Database
) -> None:
    """EM3: another number of round trips would be a timing side channel."""
    await app.state.jobs.close(within=PATIENCE)
    asked = []
    for email in (UNKNOWN, account.email):
        with counted_statements(database) as statements:
            await api.forgot(email)
        asked.append(statements)

    assert asked[0] == asked[1]
    assert [each for each in asked[1] if "users" in each or "mailed_links" in each] == []
    assert len([each for each in asked[1] if "jobs" in each]) == 1


@on_sqlite
async def test_every_address_takes_the_same_time(api: Api, app: FastAPI, account: Account) -> None:
    """EM3: 40 interleaved pairs, medians within 10 % of each other."""
    await app.state.jobs.close(within=PATIENCE)
    costs: dict[str, list[float]] = {UNKNOWN: [], account.email: []}
    for _ in range(40):
        for email, seen in costs.items():
            before = time.thread_time()
            await api.forgot(email)
            seen.append(time.thread_time() - before)

    unknown, known = (median(seen) for seen in costs.values())
    assert unknown == pytest.approx(known, rel=0.1)


async def test_the_response_does_not_wait_for_the_mail_server(api: Api, account: Account) -> None:
    """EM3: the mail server hangs until the responses have arrived."""
    api.server.may_answer.clear()

    for email in (UNKNOWN, account.email):
        assert (await api.forgot(email)).status_code == 202

    await api.server.begun.wait()
    assert api.server.waiting == 0
    api.server.may_answer.set()
    assert (await api.server.next()).recipients == [account.email]


async def test_only_an_active_account_gets_a_mail(
    api: Api, app: FastAPI, account: Account, database: Database
) -> None:
    """EM3."""
    deleted = await api.register()
    await api.delete_account(deleted)
    await set_columns(database, User, account.public_id, is_active=False)
    await app.state.jobs.join()
    while api.server.waiting:
        await api.server.next()

    for email in (UNKNOWN, "no address", account.email, deleted.email):
        await api.forgot(email)
    await app.state.jobs.join()

    assert api.server.waiting == 0
    links = (await all_rows(database))["mailed_links"]
    assert [row for row in links if LinkPurpose.RESET_PASSWORD in row] == []


@pytest.mark.settings(RATE_LIMIT_ENABLED=True)
async def test_the_sixth_mail_to_an_address_is_refused_whether_known_or_not(
    api: Api, app: FastAPI, account: Account
) -> None:
    """EM3, LG4: otherwise a mailbox could be flooded."""
    for email in (UNKNOWN, account.email):
        for _ in range(5):
            assert (await api.forgot(email)).status_code == 202
        problem(await api.forgot(email), 429, "too_many_requests")

    await app.state.jobs.join()
    # Jobs run concurrently: one that is overtaken by that of a newer request mails nothing.
    assert 1 <= api.server.waiting <= 5


@pytest.mark.settings(RATE_LIMIT_ENABLED=True, AUTH_RATE_LIMIT_ADDRESS="3/minute")
async def test_resets_are_limited_by_address(api: Api, account: Account) -> None:
    """LG4: the registration was the first attempt."""
    for _ in range(2):
        refused(await api.reset("garbage"))

    problem(await api.reset("garbage"), 429, "too_many_requests")
    problem(await api.forgot(account.email), 429, "too_many_requests")


# --- the mail


async def test_the_mail_goes_to_the_accounts_own_spelling_of_the_address(
    api: Api, account: Account
) -> None:
    """LG10: another spelling may be another mailbox."""
    await api.forgot(" ADA@\uff25XAMPLE.com ")

    mail = await api.server.next()
    assert mail.recipients == [account.email]
    assert mail.message["To"] == account.email
    assert mail.message["Subject"] == "Reset your password at Catalogue"
    assert "within 30 minutes" in mail.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"},
        {"Forwarded": "host=evil.example"},
        {"Origin": "https://evil.example", "Referer": "https://evil.example/"},
    ],
    ids=lambda headers: next(iter(headers)),
)
async def test_headers_of_the_request_do_not_change_the_host_of_the_link(
    api: Api, account: Account, headers: dict[str, str]
) -> None:
    """EM3."""
    await api.forgot(account.email, headers)

    mail = await api.server.next()
    assert mail.text.count(f"{PUBLIC_URL}/reset-password#token=") == 1
    assert "evil" not in mail.message.as_string()


# --- invalid links


async def test_a_link_works_once(api: Api, token: str) -> None:
    """EM1."""
    assert (await api.reset(token)).status_code == 204

    refused(await api.reset(token))


async def test_one_of_many_concurrent_uses_of_a_link_sets_its_password(
    api: Api, account: Account, token: str
) -> None:
    """EM1."""
    passwords = [f"parallel password {number}" for number in range(CALLERS)]

    answers = await asyncio.gather(*[api.reset(token, each) for each in passwords])

    assert sorted(answer.status_code for answer in answers) == [204] + [400] * (CALLERS - 1)
    [winner] = [p for p, answer in zip(passwords, answers, strict=True) if answer.is_success]
    assert (await api.try_login(account.email, winner)).status_code == 200


@pytest.mark.parametrize("minutes", [30, 5])
async def test_a_link_expires(api: Api, account: Account, settings: Settings, minutes: int) -> None:
    """EM1, EM2: after half an hour, by a setting."""
    settings.RESET_LINK_EXPIRE_MINUTES = minutes
    now = datetime.now(UTC)
    late, in_time = now + timedelta(minutes=minutes + 1), now + timedelta(minutes=minutes - 1)
    token = await api.reset_token(account.email)
    with time_machine.travel(late, tick=False):
        refused(await api.reset(token))
    with time_machine.travel(in_time, tick=False):
        assert (await api.reset(token)).status_code == 204


async def test_a_newer_link_voids_the_earlier_one(
    api: Api, account: Account, token: str, database: Database
) -> None:
    """EM1: and the table does not grow."""
    newer = [await api.reset_token(account.email) for _ in range(3)][-1]

    refused(await api.reset(token))
    assert len((await all_rows(database))["mailed_links"]) == 2
    assert (await api.reset(newer)).status_code == 204


@pytest.mark.parametrize(
    "values",
    [{"is_active": False}, {"email": "new@example.com", "email_key": "new@example.com"}],
    ids=CHANGED_LATER,
)
async def test_a_link_is_void_when_its_account_is_disabled_or_has_another_address(
    api: Api, account: Account, token: str, database: Database, values: dict[str, Any]
) -> None:
    """EM1, EM3."""
    await set_columns(database, User, account.public_id, **values)

    refused(await api.reset(token))


async def test_a_link_is_void_when_its_account_is_deleted(
    api: Api, account: Account, token: str, database: Database
) -> None:
    """EM1: its row is gone, with the address in it."""
    await api.delete_account(account)

    refused(await api.reset(token))
    assert (await all_rows(database))["mailed_links"] == []


async def test_every_other_token_gets_the_same_response_and_changes_nothing(
    api: Api, app: FastAPI, account: Account, token: str, database: Database
) -> None:
    """EM1, JW3: garbage, damaged, the digest, and tokens of every other kind."""
    verification = await api.verification_token(account)
    encryption = app.state.collaborators.encryption
    digests = [row[3].hex() for row in (await all_rows(database))["mailed_links"]]
    before = await rows_but_the_audit_log(database)
    tokens = [
        *("x", " ", "\xe4", token[:-1], token[1:], f"{token}=", f" {token}", token.swapcase()),
        *(account.access_token, account.refresh_token, verification, *digests),
        *(secrets.token_urlsafe(32), encryption.encrypt(token, context="registration-token")),
    ]

    answers = [refused(await api.reset(each)) for each in tokens]

    assert all(answer == answers[0] for answer in answers)
    assert await rows_but_the_audit_log(database) == before
    assert (await api.reset(token)).status_code == 204


@pytest.mark.settings(REGISTRATION_BY_MAIL=True)
async def test_a_token_of_a_reset_opens_nothing_else(api: Api, app: FastAPI) -> None:
    """EM1, JW3."""
    email = "ada@example.com"
    await api.client.post("/api/v1/auth/register", json={"email": email, "password": PASSWORD})
    confirmation = (await api.server.next()).text.partition("#token=")[2].split()[0]
    refused(await api.reset(confirmation))
    body = {"token": confirmation, "password": PASSWORD}
    assert (await api.client.post(CONFIRM, json=body)).status_code == 201
    account = await api.login(Account(email, "", {}, PASSWORD))
    token = await api.reset_token(email)

    assert_unauthorized(await api.me(token))
    assert_unauthorized(await api.refresh(token), "invalid_refresh_token")
    answer = await api.client.post(CONFIRM, json={"token": token, "password": PASSWORD})
    problem(answer, 400, "invalid_registration_token")
    refused(await api.verify(token, account))
    assert (await api.reset(token)).status_code == 204


async def test_other_fields_and_malformed_tokens_are_422(api: Api, token: str) -> None:
    """AZ4."""
    for field, value in (
        *(("role", "admin"), ("email", "a@example.com"), ("user_id", 1)),
        *(("token", ""), ("token", 7), ("token", "nul\0"), ("token", "x" * 2049)),
    ):
        body = {"token": token, "password": NEW_PASSWORD, field: value}
        assert faulty_fields(await api.client.post(RESET, json=body)) == [["body", field]]
    response = await api.client.post(FORGOT, json={"email": "x" * 255})
    assert faulty_fields(response) == [["body", "email"]]


# --- records


async def test_requests_and_resets_are_audited_with_their_account(
    api: Api, app: FastAPI, account: Account, database: Database
) -> None:
    """AU1, AU4: the address that was typed is in no event."""
    inactive = await api.register()
    await set_columns(database, User, inactive.public_id, is_active=False)
    for email in (UNKNOWN, inactive.email):
        await api.forgot(email)
        await app.state.jobs.join()
    token = await api.reset_token(account.email)
    await api.reset(token)
    await api.reset(token)

    assert await events(database, "request_password_reset", "reset_password") == [
        ("request_password_reset", "unknown_account", None),
        ("request_password_reset", "inactive", inactive.public_id),
        ("request_password_reset", None, account.public_id),
        ("reset_password", None, account.public_id),
        ("reset_password", "invalid_link", None),
    ]
    assert UNKNOWN not in str(await all_rows(database))


async def test_an_event_of_a_request_has_its_client_and_request(
    api: Api, app: FastAPI, account: Account, database: Database
) -> None:
    """AU1: though a job records it."""
    await api.forgot(account.email, {"User-Agent": "Firefox"})
    await app.state.jobs.join()

    async with database.read_sessions() as session:
        last = select(AuditEvent).order_by(AuditEvent.id.desc()).limit(1)
        event = (await session.scalars(last)).one()
    found = (event.operation, event.address, event.user_agent, event.request_id)
    assert found == ("forgot_password", "127.0.0.1", "Firefox", "the-same-for-all")


async def test_secrets_of_a_reset_appear_only_in_the_mail(
    api: Api, app: FastAPI, account: Account, database: Database, log_output: io.StringIO
) -> None:
    """ER3."""
    api.server.refusal = "451 try again later"
    await api.forgot(account.email)
    await app.state.jobs.join()
    waiting = str(await all_rows(database))
    api.server.refusal = None
    # The first mail waits for its next attempt.
    await api.forgot(account.email)
    _, token = link_in(await api.server.next_to(account.email))
    await api.reset(token, "canary umbrellas")
    await api.reset(token, "canary umbrellas")

    told = log_output.getvalue() + waiting + str(await all_rows(database))
    assert [text for text in (token, "canary umbrellas", "#token=") if text in told] == []
    assert account.email not in log_output.getvalue()


async def test_production_without_a_mail_server_writes_no_link_to_the_log(
    api: Api, app: FastAPI, account: Account, settings: Settings, log_output: io.StringIO
) -> None:
    """ER3: it answers 503, whatever the address."""
    settings.ENVIRONMENT, settings.SMTP_URL = Environment.PRODUCTION, None

    for email in (UNKNOWN, account.email):
        problem(await api.forgot(email), 503, "service_unavailable")

    await app.state.jobs.join()
    assert "#token=" not in log_output.getvalue()
    assert "SMTP_URL" in log_output.getvalue()
