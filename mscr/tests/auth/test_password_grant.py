"""The OAuth2 password form of /auth/token: the fields and the errors of RFC 6749."""

import time
from statistics import median
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import select

from examples.catalogue.db.session import Database
from examples.catalogue.models.kit_tables import AuditEvent
from examples.catalogue.models.user import User
from examples.catalogue.tests.api import Api
from mscr.core.security.password import PasswordService
from mscr.http.media_types import FORM_TYPE
from mscr.testing.api import PASSWORD, Account, bearer
from mscr.testing.applications import client_from, new_address
from mscr.testing.databases import on_sqlite
from mscr.testing.hashing import busy_hashing
from mscr.testing.problems import TOKEN_PATH, problem
from mscr.testing.table_rows import set_columns
from mscr.testing.tokens import counted_statements

ISSUED: Final = {"access_token", "refresh_token", "token_type", "expires_in"}
NOBODY: Final = {"grant_type": "password", "username": "nobody@example.com", "password": PASSWORD}


def form_of(account: Account, **fields: str) -> dict[str, str]:
    who = {"username": account.email, "password": account.password}
    return {"grant_type": "password"} | who | fields


async def ask(api: Api, form: dict[str, str]) -> Response:
    return await api.client.post(TOKEN_PATH, data=form)


async def send(api: Api, content: bytes | str, kind: str = FORM_TYPE) -> Response:
    return await api.client.post(TOKEN_PATH, content=content, headers={"Content-Type": kind})


def refusal(response: Response, status: int, code: str, error: str) -> dict[str, Any]:
    """Return the problem, and check that it also has the members of RFC 6749 §5.2."""
    body = problem(response, status, code)
    assert response.headers["cache-control"] == "no-store"
    assert body["error"] == error
    assert body["error_description"].isascii()
    return body


# --- issued tokens


async def test_the_form_returns_the_tokens_at_the_top_level(api: Api, account: Account) -> None:
    """RFC 6749 §5.1."""
    response = await ask(api, form_of(account))

    assert response.status_code == 200
    assert response.json().keys() == ISSUED
    assert (response.headers["cache-control"], response.headers["pragma"]) == (
        "no-store",
        "no-cache",
    )
    tokens = response.json()
    assert (await api.me(tokens["access_token"])).status_code == 200
    assert (await api.refresh(tokens["refresh_token"])).status_code == 200


async def test_other_standard_fields_are_ignored(api: Api, account: Account) -> None:
    more = {"scope": "items:read", "client_id": "docs", "client_secret": "", "audience": "x"}

    assert (await ask(api, form_of(account, **more))).status_code == 200


async def test_client_credentials_are_ignored(api: Api, account: Account) -> None:
    """The Authorize button of Swagger UI sends them as Basic, even if they are empty."""
    headers = {"Authorization": "Basic Og=="}
    response = await api.client.post(TOKEN_PATH, data=form_of(account), headers=headers)

    assert response.status_code == 200


async def test_the_media_type_may_have_a_charset_and_any_case(api: Api, account: Account) -> None:
    for kind in (f"{FORM_TYPE}; charset=UTF-8", FORM_TYPE.upper(), f'{FORM_TYPE};charset="utf-8"'):
        assert (await send(api, urlencode(form_of(account)), kind)).status_code == 200


async def test_a_non_ascii_password_is_accepted_encoded_or_raw(api: Api) -> None:
    """`curl -d` sends raw bytes; browsers percent-encode them."""
    account = await api.register(password="sieben nasse Käsebrote")
    encoded = urlencode(form_of(account))
    raw = "&".join(f"{name}={value}" for name, value in form_of(account).items())

    assert (await send(api, encoded)).status_code == 200
    assert (await send(api, raw.encode())).status_code == 200


# --- refusals


async def test_wrong_credentials_are_an_invalid_grant(api: Api, account: Account) -> None:
    response = await ask(api, form_of(account, password="wrong password"))

    refusal(response, 400, "invalid_grant", "invalid_grant")


async def test_another_grant_type_is_unsupported(api: Api, account: Account) -> None:
    for grant in ("client_credentials", "refresh_token", "Password", "passw\u00f6rd"):
        response = await ask(api, form_of(account, grant_type=grant))
        refusal(response, 400, "unsupported_grant_type", "unsupported_grant_type")
        response = await ask(api, {"grant_type": grant})
        refusal(response, 400, "unsupported_grant_type", "unsupported_grant_type")


@pytest.mark.parametrize("field", ["grant_type", "username", "password"])
async def test_the_error_names_the_missing_or_empty_field(
    api: Api, account: Account, field: str
) -> None:
    """RFC 6749 §3.2: a parameter without a value is treated as if it were omitted."""
    whole = form_of(account)
    lacking = {name: value for name, value in whole.items() if name != field}
    for form in (lacking, whole | {field: ""}):
        body = refusal(await ask(api, form), 400, "invalid_request", "invalid_request")
        assert [fault["loc"] for fault in body["errors"]] == [["body", field]]


async def test_the_error_names_the_field_that_is_too_long_or_contains_nul(api: Api) -> None:
    for field in ("username", "password"):
        for value in ("x" * 1025, "a\0b"):
            response = await ask(api, NOBODY | {field: value})
            body = refusal(response, 400, "invalid_request", "invalid_request")
            assert [fault["loc"] for fault in body["errors"]] == [["body", field]]


async def test_a_repeated_field_is_an_invalid_request(api: Api, account: Account) -> None:
    """RFC 6749 §3.2, also for fields that are ignored."""
    fields = [*form_of(account).items()]
    for again in (("username", "eve@example.com"), ("scope", "b")):
        content = urlencode([*fields, ("scope", "a"), again])
        refusal(await send(api, content), 400, "invalid_request", "invalid_request")


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"%", b"\xff=\xfe", b"username=%00", b"=&=&=", b"&" * 50_000, b"a=b&" * 50),
        *(b"&&&===", b"username=a", bytes(range(256)), b"{}", b"null"),
        b"grant_type=password&username=%ff%fe&password=%c3%28",
        b"grant_type=password&username=a@example.com&password=%ED%A0%80%ED%A0%80%ED%A0%80",
        b"grant_type=password&username=" + b"a" * 255 + b"&password=correct+horse",
    ],
)
async def test_a_broken_form_is_an_invalid_request(api: Api, content: bytes) -> None:
    refusal(await send(api, content), 400, "invalid_request", "invalid_request")


async def test_another_media_type_is_refused(
    api: Api, account: Account, subtests: pytest.Subtests
) -> None:
    form = form_of(account)
    latin_1 = f"{FORM_TYPE}; charset=iso-8859-1"
    requests: dict[str, dict[str, Any]] = {
        "json": {"json": form},
        "multipart": {"data": form, "files": {"file": b"x"}},
        "plain text": {"content": urlencode(form), "headers": {"Content-Type": "text/plain"}},
        "another charset": {"content": urlencode(form), "headers": {"Content-Type": latin_1}},
        "no media type": {"content": urlencode(form).encode()},
        "nothing": {},
    }
    for name, request in requests.items():
        with subtests.test(name):
            response = await api.client.post(TOKEN_PATH, **request)
            body = refusal(response, 415, "unsupported_media_type", "invalid_request")
            assert FORM_TYPE in body["detail"]


@on_sqlite
@pytest.mark.settings(MAX_BODY_BYTES=4096)
async def test_errors_raised_before_the_route_have_the_members(
    api: Api, app: FastAPI, account: Account
) -> None:
    too_large = await send(api, b"a" * 5000)
    refusal(too_large, 413, "payload_too_large", "invalid_request")
    compressed = await api.client.post(
        TOKEN_PATH, data=form_of(account), headers={"Content-Encoding": "gzip"}
    )
    refusal(compressed, 415, "unsupported_content_encoding", "invalid_request")

    got = await api.client.get(TOKEN_PATH)
    refusal(got, 405, "method_not_allowed", "invalid_request")
    assert got.headers["allow"] == "POST"
    assert int(got.headers["content-length"]) == len(got.content)
    head = await api.client.head(TOKEN_PATH)
    assert (head.status_code, head.content) == (405, b"")


@on_sqlite
async def test_other_routes_have_no_members_of_oauth2(api: Api) -> None:
    problem(await api.client.get(f"{TOKEN_PATH}/x"), 404, "not_found")
    assert "error" not in (await api.client.get(f"/x{TOKEN_PATH}")).json()
    problem(await api.try_login("nobody@example.com", PASSWORD), 401, "invalid_credentials")


@on_sqlite
@pytest.mark.settings(ROOT_PATH="/svc")
async def test_errors_behind_a_path_prefix_have_the_members(api: Api) -> None:
    for path in (TOKEN_PATH, f"/svc{TOKEN_PATH}"):
        response = await api.client.post(path, data=NOBODY)
        refusal(response, 400, "invalid_grant", "invalid_grant")


async def test_a_failed_commit_is_a_server_error(
    api: Api, account: Account, database: Database
) -> None:
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql("DROP TABLE refresh_tokens")
    response = await ask(api, form_of(account))

    refusal(response, 500, "internal_error", "server_error")


async def test_a_refusal_does_not_echo_the_input(api: Api) -> None:
    for content in ("grant_type=c4nary", "pass=c4nary", "c4nary=1&c4nary=2"):
        assert "c4nary" not in (await send(api, content)).text


async def test_all_refused_grants_get_byte_identical_responses(
    api: Api, account: Account, database: Database
) -> None:
    """LG1: unknown, wrong password and inactive, with the same statements."""
    inactive = await api.register()
    await set_columns(database, User, inactive.public_id, is_active=False)
    wrong = "wrong password"
    answers, statements = set(), set()
    for form in (NOBODY, form_of(account, password=wrong), form_of(inactive, password=wrong)):
        with counted_statements(database) as counted:
            response = await api.client.post(
                TOKEN_PATH, data=form, headers={"X-Request-ID": "the-same-for-all"}
            )
        answers.add((response.content, tuple(sorted(response.headers.items()))))
        statements.add(tuple(counted))

    assert (len(answers), len(statements)) == (1, 1)


# --- shared with the JSON login


@on_sqlite
@pytest.mark.settings(ARGON2_MEMORY_KIB=19_456, ARGON2_TIME_COST=2)
async def test_a_refused_grant_takes_the_hashing_time_of_a_refused_login(
    api: Api, account: Account, passwords: PasswordService
) -> None:
    """LG2: timing side channel. Interleaved, medians within 10 %."""

    async def hashing_time() -> float:
        return await passwords._run(time.thread_time)

    wrong = "wrong password"
    costs: dict[str, list[float]] = {"login": [], "token": [], "unknown": []}
    for _ in range(10):
        for name, seen in costs.items():
            before = await hashing_time()
            if name == "login":
                await api.try_login(account.email, wrong)
            else:
                form = NOBODY if name == "unknown" else form_of(account, password=wrong)
                await ask(api, form)
            seen.append(await hashing_time() - before)

    login, token, unknown = (median(seen) for seen in costs.values())
    assert [token, unknown] == pytest.approx([login, login], rel=0.1)


@on_sqlite
@pytest.mark.settings(RATE_LIMIT_ENABLED=True, AUTH_RATE_LIMIT_ACCOUNT="4/15 minutes")
async def test_login_and_token_share_one_rate_limit(
    api: Api, app: FastAPI, account: Account
) -> None:
    """LG4: alternating between both routes does not double the limit."""

    async def token(stranger: AsyncClient) -> Response:
        return await stranger.post(TOKEN_PATH, data=form_of(account, password="wrong password"))

    async def login(stranger: AsyncClient) -> Response:
        return await Api(stranger, api._database).try_login(account.email, "wrong password")

    async with client_from(new_address(), app) as stranger:
        statuses = [(await way(stranger)).status_code for way in (token, login) * 2]
        limited = [await token(stranger), await login(stranger)]

    assert statuses == [400, 401, 400, 401]
    assert [response.status_code for response in limited] == [429, 429]
    assert int(limited[0].headers["retry-after"]) > 0
    refusal(limited[0], 429, "too_many_requests", "temporarily_unavailable")


@on_sqlite
@pytest.mark.settings(PASSWORD_HASH_THREADS=1, PASSWORD_HASH_QUEUE=1)
async def test_a_full_hashing_pool_is_temporarily_unavailable(
    api: Api, passwords: PasswordService
) -> None:
    async with busy_hashing(passwords, jobs=2):
        response = await ask(api, NOBODY)

    refusal(response, 503, "service_unavailable", "temporarily_unavailable")
    assert response.headers["retry-after"]


async def test_a_grant_is_audited_as_a_login(
    api: Api, account: Account, database: Database
) -> None:
    await ask(api, form_of(account))
    await ask(api, form_of(account, password="wrong password"))
    await api.login(account)
    await api.try_login(account.email, "wrong password")

    columns = (AuditEvent.action, AuditEvent.outcome, AuditEvent.reason)
    async with database.sessions() as session:
        rows = (await session.execute(select(*columns).order_by(AuditEvent.id))).all()
    *_, token, refused_token, login, refused_login = map(tuple, rows)
    assert token == login
    assert refused_token == refused_login


async def test_a_session_started_by_the_form_is_listed(api: Api, account: Account) -> None:
    tokens = (await ask(api, form_of(account))).json()
    sessions = await api.client.get("/api/v1/auth/sessions", headers=bearer(tokens["access_token"]))

    assert len(sessions.json()["data"]) == 2
