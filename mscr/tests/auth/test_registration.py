"""Registration of an account."""

import pytest
from sqlalchemy import func, select

from examples.catalogue.db.session import Database
from examples.catalogue.models.user import User
from examples.catalogue.tests.api import Api
from mscr.testing.api import PASSWORD, Account
from mscr.testing.problems import faulty_fields, problem

REGISTER = "/api/v1/auth/register"


async def test_a_new_database_has_no_account(api: Api, database: Database) -> None:
    """LG9: starting the application creates none."""
    async with database.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(User)) == 0


async def test_default_credentials_cannot_log_in(api: Api) -> None:
    """LG9."""
    for name in ("admin", "admin@example.com", "root@localhost"):
        for password in ("admin", "password", "changeme", "secret"):
            problem(await api.try_login(name, password), 401, "invalid_credentials")


async def test_registration_logs_in(api: Api) -> None:
    email = "Ada.Lovelace@Example.com"
    body = {"email": email, "password": PASSWORD, "full_name": "Ada Lovelace"}
    response = await api.client.post(REGISTER, json=body)

    assert response.status_code == 201
    me = await api.me(response.json()["data"]["access_token"])
    assert me.json()["data"].items() >= {
        ("email", email),
        ("full_name", "Ada Lovelace"),
        ("role", "user"),
        ("is_active", True),
    }


async def test_confirmation_by_mail_is_404_by_default(api: Api) -> None:
    """LG3: registration by mail exists only if a setting enables it."""
    body = {"token": "x", "password": PASSWORD}
    problem(await api.client.post("/api/v1/auth/confirm-registration", json=body), 404, "not_found")


async def test_registration_returns_the_tokens_in_the_envelope(api: Api) -> None:
    body = {"email": "ada@example.com", "password": PASSWORD}
    answer = (await api.client.post(REGISTER, json=body)).json()

    assert answer.keys() == {"success", "data", "message", "meta"}
    assert answer["data"].keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert answer["data"]["token_type"] == "bearer"


async def test_the_refresh_token_of_a_registration_is_valid(api: Api, account: Account) -> None:
    assert (await api.refresh(account.refresh_token)).status_code == 200


async def test_returns_409_for_a_taken_address_in_any_spelling(
    api: Api, subtests: pytest.Subtests
) -> None:
    await api.register("Ada@example.com")
    for email in (
        "Ada@example.com",
        "ADA@EXAMPLE.COM",
        " ada@example.com ",
        "ada@\uff45xample.com",
    ):
        with subtests.test(email):
            body = {"email": email, "password": PASSWORD}
            problem(await api.client.post(REGISTER, json=body), 409, "email_taken")


async def test_spellings_of_one_domain_are_one_address(api: Api) -> None:
    """Domains are compared in their DNS form (IDNA), whichever full stop was typed."""
    await api.register("ada@exámple.com")
    await api.register("bob@example.com")
    for email in ("ada@xn--exmple-qta.com", "ada@EXÁMPLE.com", "bob@example\u3002com"):
        body = {"email": email, "password": PASSWORD}
        problem(await api.client.post(REGISTER, json=body), 409, "email_taken")
    assert (await api.try_login("ada@xn--exmple-qta.com", PASSWORD)).status_code == 200
    assert (await api.try_login("ada@é..com", PASSWORD)).status_code == 401


async def test_domains_that_differ_only_in_idna_2008_are_two_accounts(api: Api) -> None:
    """IDNA 2003 maps both to one domain, but mail goes to two."""
    sharp, double = await api.register("ada@straße.de"), await api.register("ada@strasse.de")

    assert (await api.login(sharp)).public_id != (await api.login(double)).public_id
    for email in ("ada@xn--strae-oqa.de", "Ada@STRA\u1e9eE.de"):
        body = {"email": email, "password": PASSWORD}
        problem(await api.client.post(REGISTER, json=body), 409, "email_taken")


async def test_non_ascii_letters_of_another_case_are_two_accounts(api: Api) -> None:
    await api.register("j\u00f6rg@example.com")
    await api.register("J\u00d6rg@example.com")
    body = {"email": "jo\u0308rg@example.com", "password": PASSWORD}

    problem(await api.client.post(REGISTER, json=body), 409, "email_taken")


@pytest.mark.parametrize(
    "domain", ["localhost", "app.test", "x.invalid", "printer.local", "a.ONION", "\uff54est"]
)
async def test_a_reserved_domain_is_refused_as_reserved(api: Api, domain: str) -> None:
    body = {"email": f"ada@{domain}", "password": PASSWORD}

    [fault] = problem(await api.client.post(REGISTER, json=body), 422, "validation_failed")[
        "errors"
    ]

    assert (fault["loc"], fault["type"]) == (["body", "email"], "email_reserved")
    assert "reserved" in fault["msg"]


async def test_a_refused_registration_does_not_change_the_account(api: Api) -> None:
    owner = await api.register("ada@example.com")
    body = {"email": "ada@example.com", "password": "another password", "full_name": "Eve"}
    await api.client.post(REGISTER, json=body)

    assert (await api.try_login(owner.email, owner.password)).status_code == 200
    assert (await api.me(owner.access_token)).json()["data"]["full_name"] is None
    problem(await api.try_login(owner.email, "another password"), 401, "invalid_credentials")


async def test_returns_422_for_an_invalid_address(api: Api, subtests: pytest.Subtests) -> None:
    for email in (
        *("", "ada", "@example.com", "ada@", "ada@example", "ada@@example.com", "ada@exa mple.com"),
        *("ada@example.com\nBcc: eve@example.com", "ada@127.0.0.1", "ada@localhost"),
        *("<ada@example.com>", "ada@deleted.invalid", f"{'a' * 250}@example.com", "ada\0@a.org"),
        # Local parts that normalize to another one, to a long one, or to a whole address.
        "\uff41\uff44\uff41@example.com",
        *("\ufdfa" * 20 + "@example.com", "ada\uff20example.com@example.com"),
    ):
        with subtests.test(repr(email)):
            body = {"email": email, "password": PASSWORD}
            assert faulty_fields(await api.client.post(REGISTER, json=body)) == [["body", "email"]]


async def test_the_error_does_not_echo_the_address(api: Api) -> None:
    body = {"email": "c4nary@exa mple", "password": "c4nary-password"}
    response = await api.client.post(REGISTER, json=body)

    problem(response, 422, "validation_failed")
    assert "c4nary" not in response.text


async def test_the_error_names_the_missing_fields(api: Api) -> None:
    response = await api.client.post(REGISTER, json={})

    assert faulty_fields(response) == [["body", "email"], ["body", "password"]]


async def test_returns_422_for_forbidden_or_invalid_fields(
    api: Api, subtests: pytest.Subtests
) -> None:
    for field, value in (
        *(("role", "admin"), ("is_admin", True), ("is_active", True), ("public_id", "x")),
        *(("full_name", "   "), ("full_name", "x" * 201), ("full_name", 7), ("email", ["a@b.org"])),
        *(("password", 12345678), ("password", None), ("password", "nul\0 inside")),
    ):
        with subtests.test(f"{field}={value!r:.20}"):
            body = {"email": "ada@example.com", "password": PASSWORD, field: value}
            assert faulty_fields(await api.client.post(REGISTER, json=body)) == [["body", field]]


async def test_returns_415_for_a_body_that_is_not_json(api: Api) -> None:
    body = b'{"email": "ada@example.com", "password": "correct horse battery"}'
    for media_type in ("text/plain", "application/x-www-form-urlencoded"):
        headers = {"Content-Type": media_type}
        response = await api.client.post(REGISTER, content=body, headers=headers)
        problem(response, 415, "unsupported_media_type")
