"""Registration by mail: responses allow no account enumeration, only the mail differs."""

import asyncio
import io
import re
import time
from statistics import median

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import func, select
from starlette.types import Message, Receive, Scope, Send

from examples.catalogue.db.session import Database
from examples.catalogue.models.user import User
from mscr.core.security.password import PasswordService
from mscr.testing.api import PASSWORD, Account
from mscr.testing.databases import on_sqlite
from mscr.testing.mail_registration import LINK, PUBLIC_URL, REGISTER, link_token
from mscr.testing.mail_server import Delivery
from mscr.testing.problems import faulty_fields, problem
from mscr.testing.table_rows import all_rows, rows_but_the_audit_log, set_columns
from mscr.testing.tokens import counted_statements
from mscr.testing.waiting import PATIENCE
from mscr.tests.mail.api import MailApi

FREE = "new@example.com"


@pytest.fixture
async def account(api: MailApi) -> Account:
    return await api.register("Ada@example.com")


def words_of(mail: Delivery) -> str:
    """Return everything that a reader may see, decoded."""
    return f"{mail.message.items()}\n{mail.text}\n{mail.html}"


@pytest.fixture
def passwords(app: FastAPI) -> PasswordService:
    found: PasswordService = app.state.collaborators.passwords
    return found


# --- the response


async def test_the_response_is_identical_for_every_address(
    api: MailApi, account: Account, database: Database
) -> None:
    """LG3: free, taken, deactivated, deleted by its owner, and deleted with its address kept."""
    inactive, deleted, kept = [await api.register() for _ in range(3)]
    await set_columns(database, User, inactive.public_id, is_active=False)
    await api.client.request(
        "DELETE", "/api/v1/users/me", json={"password": PASSWORD}, headers=deleted.headers
    )
    await set_columns(database, User, kept.public_id, is_deleted=True)

    answers = [
        await api.ask(email)
        for email in (FREE, account.email, inactive.email, deleted.email, kept.email)
    ]

    assert {answer.status_code for answer in answers} == {202}
    assert len({(a.content, tuple(sorted(a.headers.items()))) for a in answers}) == 1


async def test_the_response_has_no_tokens(api: MailApi) -> None:
    """LG3."""
    answer = (await api.ask(FREE)).json()

    assert answer == {"success": True, "data": None, "message": answer["message"], "meta": None}


async def test_every_address_takes_the_same_statements(
    api: MailApi, app: FastAPI, account: Account, database: Database
) -> None:
    """LG3: a different number of round trips would be a timing side channel."""
    # The delivery has statements of its own, after the response.
    await app.state.jobs.close(within=PATIENCE)
    asked = []
    for email in (FREE, account.email):
        with counted_statements(database) as statements:
            await api.ask(email)
        asked.append(statements)

    assert asked[0] == asked[1]
    assert asked[0]


@on_sqlite
@pytest.mark.settings(ARGON2_MEMORY_KIB=19_456, ARGON2_TIME_COST=2)
async def test_every_address_costs_the_same_hashing(
    api: MailApi, account: Account, passwords: PasswordService
) -> None:
    """LG3: production parameters, 40 interleaved pairs, medians within 10 % of each other."""
    costs: dict[str, list[float]] = {FREE: [], account.email: []}
    for _ in range(40):
        for email, seen in costs.items():
            before = await passwords._run(time.thread_time)
            await api.mail_for(email)
            seen.append(await passwords._run(time.thread_time) - before)

    free, taken = (median(seen) for seen in costs.values())
    assert free == pytest.approx(taken, rel=0.1)


async def test_the_response_does_not_wait_for_the_mail_server(
    api: MailApi, account: Account
) -> None:
    """LG3: the mail server hangs until both responses have arrived."""
    api.server.may_answer.clear()

    for email in (FREE, account.email):
        assert (await api.ask(email)).status_code == 202

    await api.server.begun.wait()
    assert api.server.waiting == 0
    api.server.may_answer.set()
    arrived = {(await api.server.next()).recipients[0] for _ in range(2)}
    assert arrived == {FREE, account.email}


async def test_no_mail_is_composed_before_the_response_is_sent(
    api: MailApi, app: FastAPI, account: Account
) -> None:
    """LG3: the two mails differ, so composing them first would be a timing side channel."""
    jobs = app.state.jobs
    running: list[int] = []

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        async def watch(message: Message) -> None:
            await asyncio.sleep(0)  # lets started tasks begin
            running.append(len(jobs._running))
            await send(message)

        await app(scope, receive, watch)

    transport = ASGITransport(app=watched)
    async with AsyncClient(transport=transport, base_url="http://testserver") as client:
        for email in (FREE, account.email):
            await client.post(REGISTER, json={"email": email, "password": PASSWORD})
            await api.server.next()
            await jobs.join()

    assert set(running) == {0}


async def test_a_refused_password_reveals_nothing_about_the_address(
    api: MailApi, account: Account
) -> None:
    """LG3, PW3."""
    answers = [await api.ask(email, password="password1") for email in (FREE, account.email)]

    assert [faulty_fields(answer) for answer in answers] == [[["body", "password"]]] * 2
    assert answers[0].content == answers[1].content
    assert api.server.waiting == 0


@pytest.mark.settings(RATE_LIMIT_ENABLED=True)
async def test_the_sixth_mail_to_an_address_is_refused_whether_taken_or_free(
    api: MailApi, account: Account
) -> None:
    """LG3, LG4: a success does not reset the limit; otherwise a mailbox could be flooded."""
    for email in (FREE, account.email):
        for _ in range(5):
            await api.mail_for(email)
        problem(await api.ask(email), 429, "too_many_requests")

    assert api.server.waiting == 0


# --- stored data


async def test_nothing_is_stored_before_the_address_is_confirmed(
    api: MailApi, app: FastAPI, database: Database
) -> None:
    """LG3: the only new row is an audit event, which does not contain the address."""
    before = await rows_but_the_audit_log(database)

    await api.mail_for(FREE, full_name="Canary")
    await app.state.jobs.join()

    assert await rows_but_the_audit_log(database) == before
    told = str(await all_rows(database))
    assert [text for text in (FREE, "Canary", "argon2") if text in told] == []


async def test_login_before_the_confirmation_is_401(api: MailApi) -> None:
    await api.mail_for(FREE)

    problem(await api.try_login(FREE, PASSWORD), 401, "invalid_credentials")


async def test_a_registration_does_not_change_the_account_of_a_taken_address(
    api: MailApi, app: FastAPI, account: Account, database: Database
) -> None:
    await app.state.jobs.join()
    before = await rows_but_the_audit_log(database)

    await api.mail_for(account.email, password="another password", full_name="Eve")
    await app.state.jobs.join()

    assert await rows_but_the_audit_log(database) == before


async def test_secrets_appear_only_in_the_mail(
    api: MailApi, account: Account, database: Database, log_output: io.StringIO
) -> None:
    """ER3: the password is nowhere, and the token is only in the text of the mail."""
    mails = [
        await api.mail_for(email, password="canary umbrellas", full_name="Canary Name")
        for email in (FREE, account.email)
    ]
    token = link_token(mails[0])
    await api.confirm(token)
    await api.confirm(token)
    await api.confirm(f"{token}x")

    told = log_output.getvalue() + str(await all_rows(database))
    assert "mail_sent" in told
    assert token not in told
    assert FREE not in log_output.getvalue()
    headers = "".join(str(mail.message.items()) for mail in mails)
    assert token[:20] not in headers
    texts = headers + "".join(map(words_of, mails))
    assert [s for s in ("canary umbrellas", "argon2") if s in texts] == []
    assert "canary umbrellas" not in told


# --- the mail


async def test_a_free_address_gets_a_link(api: MailApi) -> None:
    """LG3."""
    mail = await api.mail_for(FREE, full_name="http://evil.example")

    assert mail.recipients == [FREE]
    assert mail.message["To"] == FREE
    assert mail.message["From"] == "no-reply@example.com"
    assert mail.envelope.mail_from == "no-reply@example.com"
    assert mail.message["Subject"] == "Confirm your registration at Catalogue"
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert len(LINK.findall(mail.text)) == 1
    assert "within 60 minutes" in mail.text
    assert "evil" not in words_of(mail)


async def test_a_mail_has_the_link_as_text_and_as_html(api: MailApi) -> None:
    mail = await api.mail_for(FREE)

    assert [part.get_content_type() for part in mail.message.iter_parts()] == [
        "text/plain",
        "text/html",
    ]
    link = f"{PUBLIC_URL}/confirm-registration#token={link_token(mail)}"
    assert re.findall(r'href="(.*?)"', mail.html) == [link]
    assert (await api.confirm(link_token(mail))).status_code == 201


@pytest.mark.settings(APP_NAME="Größe & <b>Söhne</b> 🎈")
async def test_a_name_outside_of_ascii_arrives_in_every_part(api: MailApi) -> None:
    mail = await api.mail_for(FREE)

    name = "Größe & <b>Söhne</b> 🎈"
    assert mail.message["Subject"] == f"Confirm your registration at {name}"
    assert f"an account at {name} with" in mail.text
    assert "an account at Größe &amp; &lt;b&gt;Söhne&lt;/b&gt; 🎈 with" in mail.html
    assert link_token(mail)
    # RFC 5321 §4.5.3.1.6, and any server forwards it, also one without 8BITMIME.
    raw = mail.envelope.original_content or b""
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert raw.isascii()


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
    api: MailApi, headers: dict[str, str]
) -> None:
    """EM3."""
    mail = await api.mail_for(FREE, headers=headers)

    assert mail.text.count(f"{PUBLIC_URL}/confirm-registration#token=") == 1
    assert "evil" not in words_of(mail)


async def test_a_taken_address_gets_a_notice_without_links(api: MailApi, account: Account) -> None:
    """LG3: it goes to the account's stored address, whatever the spelling in the request."""
    mail = await api.mail_for(" ADA@\uff25XAMPLE.com ", full_name="http://evil.example")

    assert mail.recipients == [account.email]
    assert mail.message["Subject"] == "You have an account at Catalogue"
    text = words_of(mail).lower()
    assert [word for word in ("http", "token", "evil", "confirm-") if word in text] == []


async def test_an_internationalized_address_gets_its_mail(api: MailApi) -> None:
    """RFC 6531: the domain is sent in ASCII, the local part unchanged."""
    email = "j\xfcrgen@b\xfccher.example.com"
    mail = await api.mail_for(email)

    assert mail.recipients == ["j\xfcrgen@xn--bcher-kva.example.com"]
    assert (await api.confirm(link_token(mail))).json()["data"][
        "email"
    ] == "j\xfcrgen@b\xfccher.example.com"


async def test_the_longest_registration_fits_into_its_link(
    api: MailApi, database: Database
) -> None:
    email = f"{'a' * 64}@{'b' * 60}.{'c' * 60}.{'d' * 60}.org"
    token = await api.mailed_token(email, full_name="\U0001f300" * 200)

    assert (await api.confirm(token)).status_code == 201
    async with database.read_sessions() as session:
        assert await session.scalar(select(func.count()).select_from(User)) == 1
