"""Login with JSON, and its refusals, which reveal no account (account enumeration)."""

import time
from statistics import median

import pytest
from httpx2 import Response

from examples.catalogue.db.session import Database
from examples.catalogue.models.user import User
from examples.catalogue.tests.api import Api
from mscr.core.security.password import PasswordService
from mscr.models.email_key import as_typed_key
from mscr.testing.api import PASSWORD, Account
from mscr.testing.databases import on_sqlite
from mscr.testing.problems import assert_unauthorized, faulty_fields, problem
from mscr.testing.table_rows import set_columns
from mscr.testing.tokens import counted_statements

LOGIN = "/api/v1/auth/login"
TOKEN_FIELDS = {"access_token", "refresh_token", "token_type", "expires_in"}


# --- the request


async def test_json_login_returns_the_tokens_in_the_envelope(api: Api, account: Account) -> None:
    response = await api.try_login(account.email, account.password)

    assert response.status_code == 200
    assert response.json().keys() == {"success", "data", "message", "meta"}
    assert response.json()["data"].keys() == TOKEN_FIELDS


async def test_the_media_type_may_have_parameters_and_any_case(api: Api, account: Account) -> None:
    body = f'{{"email": "{account.email}", "password": "{PASSWORD}"}}'
    for media_type in ("application/json; charset=utf-8", "Application/JSON", "application/json;"):
        headers = {"Content-Type": media_type}
        assert (await api.client.post(LOGIN, content=body, headers=headers)).status_code == 200


async def test_the_address_is_case_insensitive(api: Api) -> None:
    account = await api.register("Ada@example.com")

    assert (await api.try_login(" aDA@EXAMPLE.com ", account.password)).status_code == 200


async def test_duplicates_of_an_earlier_key_log_in_with_their_own_spelling(
    api: Api, database: Database
) -> None:
    """Databases made before addresses were canonical have accounts with such a key."""
    younger, older = await api.register(), await api.register("ada@straße.de")
    as_typed = {"email": "Ada@straße.de", "email_key": as_typed_key("Ada@straße.de")}
    await set_columns(database, User, younger.public_id, **as_typed)

    for spelling, account in (("Ada@straße.de", younger), ("ada@xn--strae-oqa.de", older)):
        login = await api.try_login(spelling, PASSWORD)
        me = await api.me(login.json()["data"]["access_token"])
        assert me.json()["data"]["public_id"] == account.public_id


# --- invalid requests


async def test_returns_415_for_every_other_media_type(
    api: Api, account: Account, subtests: pytest.Subtests
) -> None:
    body = f'{{"email": "{account.email}", "password": "{PASSWORD}"}}'
    for media_type in ("text/plain", "application/xml", "multipart/form-data; boundary=x", "/"):
        with subtests.test(media_type):
            headers = {"Content-Type": media_type}
            response = await api.client.post(LOGIN, content=body, headers=headers)
            refusal = problem(response, 415, "unsupported_media_type")
            assert "application/json" in refusal["detail"]


async def test_returns_415_for_a_form(api: Api, account: Account) -> None:
    """Forms have their own route: /auth/token."""
    form = {"grant_type": "password", "username": account.email, "password": account.password}

    problem(await api.client.post(LOGIN, data=form), 415, "unsupported_media_type")


async def test_returns_422_for_a_body_without_a_media_type(api: Api, account: Account) -> None:
    body = f'{{"email": "{account.email}", "password": "{PASSWORD}"}}'.encode()

    refusal = problem(await api.client.post(LOGIN, content=body), 422, "validation_failed")
    assert "Content-Type: application/json" in refusal["errors"][0]["msg"]


async def test_the_error_names_the_missing_field(api: Api) -> None:
    for field, other in (("email", "password"), ("password", "email")):
        response = await api.client.post(LOGIN, json={other: "ada@example.com"})
        assert faulty_fields(response) == [["body", field]]


async def test_returns_400_for_an_unreadable_body(api: Api, subtests: pytest.Subtests) -> None:
    for body in ("1" * 5000, "[" * 100_000, "\xff"):
        with subtests.test(body[:40]):
            headers = {"Content-Type": "application/json"}
            response = await api.client.post(LOGIN, content=body.encode("latin-1"), headers=headers)
            problem(response, 400, "bad_request")


async def test_returns_422_for_invalid_login_json(api: Api, subtests: pytest.Subtests) -> None:
    for body in (
        *("", "{", "null", "[]", '"text"', '{"email": NaN}'),
        *('{"email": "a", "password": "\\ud800"}', '{"email": ["a"], "password": {}}'),
        *('{"email": "a", "password": 12345678}', '{"email": "a", "password": "b", "role": "x"}'),
    ):
        with subtests.test(body[:40]):
            headers = {"Content-Type": "application/json"}
            response = await api.client.post(LOGIN, content=body.encode("latin-1"), headers=headers)
            problem(response, 422, "validation_failed")


async def test_a_refusal_does_not_echo_the_input(api: Api) -> None:
    response = await api.client.post(LOGIN, json={"passwort": "c4nary"})

    assert "c4nary" not in response.text


# --- refusals reveal no account


async def test_all_refused_logins_get_byte_identical_responses(
    api: Api, account: Account, database: Database
) -> None:
    """LG1: unknown, wrong password, inactive, and deleted with the address still in its row."""
    inactive, deleted = await api.register(), await api.register()
    await set_columns(database, User, inactive.public_id, is_active=False)
    await set_columns(database, User, deleted.public_id, is_deleted=True)

    answers = {
        (response.status_code, response.content, tuple(sorted(response.headers.items())))
        for response in [
            await try_login(api, "nobody@example.com", PASSWORD),
            await try_login(api, account.email, "wrong password"),
            await try_login(api, inactive.email, PASSWORD),
            await try_login(api, inactive.email, "wrong password"),
            await try_login(api, deleted.email, PASSWORD),
        ]
    }

    assert len(answers) == 1


async def test_a_refused_login_has_a_www_authenticate_challenge(api: Api, account: Account) -> None:
    """LG1: RFC 9110 §11.6.1 requires one with every 401."""
    response = await api.try_login(account.email, "wrong password")

    assert_unauthorized(response, "invalid_credentials")


async def test_all_refused_logins_send_the_same_statements(
    api: Api, account: Account, database: Database
) -> None:
    """LG2: extra round trips would be a timing side channel."""
    inactive = await api.register()
    await set_columns(database, User, inactive.public_id, is_active=False)
    asked = []
    for email in ("nobody@example.com", account.email, inactive.email):
        with counted_statements(database) as statements:
            await api.try_login(email, "wrong password")
        asked.append(statements)

    assert asked[0] == asked[1] == asked[2]
    assert asked[0]


@on_sqlite
@pytest.mark.settings(ARGON2_MEMORY_KIB=19_456, ARGON2_TIME_COST=2)
@pytest.mark.parametrize(
    ("password", "rounds"),
    [("wrong password", 40), ("wrong pa\u0308ssword", 20)],
    ids=["normalized", "in another Unicode form"],
)
async def test_all_refused_logins_take_the_same_hashing_time(
    api: Api,
    account: Account,
    database: Database,
    passwords: PasswordService,
    password: str,
    rounds: int,
) -> None:
    """LG2: timing side channel. Production parameters, interleaved, medians within 10 %."""
    inactive = await api.register()
    await set_columns(database, User, inactive.public_id, is_active=False)
    costs: dict[str, list[float]] = {email: [] for email in ("", account.email, inactive.email)}
    for _ in range(rounds):
        for email, seen in costs.items():
            before = await hashing_time(passwords)
            await api.try_login(email, password)
            seen.append(await hashing_time(passwords) - before)

    unknown, wrong, locked = (median(seen) for seen in costs.values())
    assert [unknown, locked] == pytest.approx([wrong, wrong], rel=0.1)


async def test_the_dummy_hash_exists_before_the_first_request(passwords: PasswordService) -> None:
    """LG2: otherwise the first unknown account after a start would cost two hashes."""
    assert passwords._decoy is not None


async def hashing_time(passwords: PasswordService) -> float:
    """Return the CPU time of the one hashing thread, which a busy machine does not distort."""
    return await passwords._run(time.thread_time)


async def try_login(api: Api, email: str, password: str) -> Response:
    """Send a fixed request id, which would otherwise differ in each response."""
    body = {"email": email, "password": password}
    headers = {"X-Request-ID": "the-same-for-all"}
    return await api.client.post(LOGIN, json=body, headers=headers)
