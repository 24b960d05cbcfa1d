"""Creating an account."""

import pytest
from sqlalchemy import func, select

from app.db.session import Database
from app.models import User
from tests.support.api import PASSWORD, Account, Api
from tests.support.problems import faulty_fields, problem

REGISTER = "/api/v1/auth/register"


async def test_a_new_database_has_no_account(api: Api, database: Database) -> None:
    """LG9: the application has started, and made none."""
    async with database.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(User)) == 0


async def test_nobody_logs_in_to_a_new_database(api: Api) -> None:
    """LG9."""
    for name in ("admin", "admin@example.com", "root@localhost"):
        for password in ("admin", "password", "changeme", "secret"):
            problem(await api.try_login(name, password), 401, "invalid_credentials")


async def test_registering_logs_in(api: Api) -> None:
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


async def test_by_default_there_is_nothing_to_confirm(api: Api) -> None:
    """LG3: the other way to register is there only where the settings ask for it."""
    body = {"token": "x"}
    problem(await api.client.post("/api/v1/auth/confirm-registration", json=body), 404, "not_found")


async def test_the_answer_is_the_envelope_around_the_tokens(api: Api) -> None:
    body = {"email": "ada@example.com", "password": PASSWORD}
    answer = (await api.client.post(REGISTER, json=body)).json()

    assert answer.keys() == {"success", "data", "message", "meta"}
    assert answer["data"].keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert answer["data"]["token_type"] == "bearer"


async def test_the_refresh_token_of_a_registration_is_good(api: Api, account: Account) -> None:
    assert (await api.refresh(account.refresh_token)).status_code == 200


async def test_returns_409_when_the_address_is_taken_in_any_spelling(
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


async def test_a_domain_is_one_in_every_spelling_of_its_name(api: Api) -> None:
    """As the DNS has it (IDNA), and whichever full stop is typed."""
    await api.register("ada@exámple.com")
    await api.register("bob@example.com")
    for email in ("ada@xn--exmple-qta.com", "ada@EXÁMPLE.com", "bob@example\u3002com"):
        body = {"email": email, "password": PASSWORD}
        problem(await api.client.post(REGISTER, json=body), 409, "email_taken")
    assert (await api.try_login("ada@xn--exmple-qta.com", PASSWORD)).status_code == 200
    assert (await api.try_login("ada@é..com", PASSWORD)).status_code == 401


async def test_two_domains_that_differ_in_idna_2008_alone_are_two_people(api: Api) -> None:
    """IDNA 2003 made one of them, while mail goes to two."""
    sharp, double = await api.register("ada@straße.de"), await api.register("ada@strasse.de")

    assert (await api.login(sharp)).public_id != (await api.login(double)).public_id
    for email in ("ada@xn--strae-oqa.de", "Ada@STRA\u1e9eE.de"):
        body = {"email": email, "password": PASSWORD}
        problem(await api.client.post(REGISTER, json=body), 409, "email_taken")


async def test_letters_that_only_some_servers_fold_are_two_people(api: Api) -> None:
    await api.register("j\u00f6rg@example.com")
    await api.register("J\u00d6rg@example.com")
    body = {"email": "jo\u0308rg@example.com", "password": PASSWORD}

    problem(await api.client.post(REGISTER, json=body), 409, "email_taken")


@pytest.mark.parametrize(
    "domain", ["localhost", "app.test", "x.invalid", "printer.local", "a.ONION", "\uff54est"]
)
async def test_the_refusal_of_a_reserved_domain_says_so(api: Api, domain: str) -> None:
    body = {"email": f"ada@{domain}", "password": PASSWORD}

    [fault] = problem(await api.client.post(REGISTER, json=body), 422, "validation_failed")[
        "errors"
    ]

    assert (fault["loc"], fault["type"]) == (["body", "email"], "email_reserved")
    assert "reserved" in fault["msg"]


async def test_a_refused_registration_changes_nothing_of_the_account(api: Api) -> None:
    owner = await api.register("ada@example.com")
    body = {"email": "ada@example.com", "password": "another password", "full_name": "Eve"}
    await api.client.post(REGISTER, json=body)

    assert (await api.try_login(owner.email, owner.password)).status_code == 200
    assert (await api.me(owner.access_token)).json()["data"]["full_name"] is None
    problem(await api.try_login(owner.email, "another password"), 401, "invalid_credentials")


async def test_returns_422_when_the_address_is_none(api: Api, subtests: pytest.Subtests) -> None:
    for email in (
        *("", "ada", "@example.com", "ada@", "ada@example", "ada@@example.com", "ada@exa mple.com"),
        *("ada@example.com\nBcc: eve@example.com", "ada@127.0.0.1", "ada@localhost"),
        *("<ada@example.com>", "ada@deleted.invalid", f"{'a' * 250}@example.com", "ada\0@a.org"),
        # Local parts that look like another one, or like a whole address.
        "\uff41\uff44\uff41@example.com",
        *("\ufdfa" * 20 + "@example.com", "ada\uff20example.com@example.com"),
    ):
        with subtests.test(repr(email)):
            body = {"email": email, "password": PASSWORD}
            assert faulty_fields(await api.client.post(REGISTER, json=body)) == [["body", "email"]]


async def test_the_refusal_of_an_address_does_not_repeat_it(api: Api) -> None:
    body = {"email": "c4nary@exa mple", "password": "c4nary-password"}
    response = await api.client.post(REGISTER, json=body)

    problem(response, 422, "validation_failed")
    assert "c4nary" not in response.text


async def test_names_the_fields_that_are_missing(api: Api) -> None:
    response = await api.client.post(REGISTER, json={})

    assert faulty_fields(response) == [["body", "email"], ["body", "password"]]


async def test_returns_422_for_what_a_registration_must_not_say(
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


async def test_returns_415_when_the_body_does_not_come_as_json(api: Api) -> None:
    body = b'{"email": "ada@example.com", "password": "correct horse battery"}'
    for media_type in ("text/plain", "application/x-www-form-urlencoded"):
        headers = {"Content-Type": media_type}
        response = await api.client.post(REGISTER, content=body, headers=headers)
        problem(response, 415, "unsupported_media_type")
