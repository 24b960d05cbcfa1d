"""Passwords that others guess first: the common ones, and those that say whose account it is."""

from importlib import import_module

import pytest
from httpx2 import Response

from app.core.security.password_policy import common_passwords
from tests.support.api import PASSWORD, Account, Api
from tests.support.databases import on_sqlite
from tests.support.problems import problem

EMAIL = "Ada.Lovelace@Engines.example"
# "password" as fullwidth letters.
FULL_WIDTH = "".join(chr(ord(letter) + 0xFEE0) for letter in "password")
GUESSABLE = [
    "\uff21\uff24\uff21.lovelace",
    "ada.lovelace",
    "Ada.Lovelace1",
    "ADA.LOVELACE@ENGINES.EXAMPLE",
    "engines12",
    "123lovelace",
    "AugustaKing!",
    "augusta king",
    "augustaaugusta",
    "FastAPI Backend",
    "fastapibackend1",
    "Backend99",
]


def fault(response: Response) -> str:
    [error] = problem(response, 422, "validation_failed")["errors"]
    return f"{error['loc'][-1]}: {error['type']}"


async def register(api: Api, password: str) -> Response:
    body = {"email": EMAIL, "full_name": "Augusta King", "password": password}
    return await api.client.post("/api/v1/auth/register", json=body)


async def change(api: Api, account: Account, password: str) -> Response:
    body = {"current_password": account.password, "new_password": password}
    path = "/api/v1/users/me/change-password"
    return await api.client.post(path, json=body, headers=account.headers)


def test_the_common_passwords_are_those_of_the_list_that_are_long_enough() -> None:
    """PW3: for the shortest that any settings allow; the list is read without being imported."""
    leaked = import_module("zxcvbn.frequency_lists").FREQUENCY_LISTS["passwords"]
    passwords = common_passwords().split("\n")

    assert len(passwords) > 3000
    assert passwords == ["", *(word for word in leaked if len(word) >= 8), ""]


async def test_a_password_of_two_common_ones_on_two_lines_is_taken(api: Api) -> None:
    """PW2: the list is kept as lines."""
    first, second, *_ = common_passwords().split()

    await api.register(password=f"{first}\n{second}")


@pytest.mark.parametrize(
    "password", ["PassWord", "1q2w3e4r", "a" * 9, "AbcaBc" * 3, " " * 8, FULL_WIDTH]
)
async def test_a_common_password_is_refused(api: Api, account: Account, password: str) -> None:
    """PW3: in any case of letters."""
    assert fault(await register(api, password)) == "password: password_common"
    assert fault(await change(api, account, password)) == "new_password: password_common"


@on_sqlite
@pytest.mark.settings(PASSWORD_REFUSE_COMMON=False)
async def test_a_setting_accepts_common_passwords(api: Api) -> None:
    """The length and the names of the account are still checked."""
    assert (await register(api, "password")).status_code == 201
    assert fault(await register(api, "iloveu")) == "password: password_too_short"
    assert fault(await register(api, "ada.lovelace")) == "password: password_guessable"


async def test_a_password_that_holds_a_common_one_is_taken(api: Api) -> None:
    """PW2: no rule says more than the list."""
    await api.register(password="iloveyou and the sea")


@on_sqlite
@pytest.mark.parametrize("password", GUESSABLE)
async def test_a_password_of_little_but_names_is_refused(api: Api, password: str) -> None:
    """PW4."""
    assert fault(await register(api, password)) == "password: password_guessable"


async def test_a_change_to_the_own_address_is_refused(api: Api) -> None:
    """PW4: as the account has it, and after the present password was proved."""
    account = await api.register("grace.hopper@example.com")

    assert fault(await change(api, account, "Grace.Hopper7")) == "new_password: password_guessable"
    assert (await api.try_login(account.email, PASSWORD)).status_code == 200


@pytest.mark.parametrize("password", ["my name is augusta king", "adaadvance"])
async def test_a_password_of_more_than_names_is_taken(api: Api, password: str) -> None:
    """PW4."""
    assert (await register(api, password)).status_code == 201
