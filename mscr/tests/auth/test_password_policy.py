"""Guessable passwords: common ones, and those made of the account's own names."""

from hashlib import sha256

import pytest
from httpx2 import Response

from examples.catalogue.tests.api import Api
from mscr.core.security.password_policy import COMMON_PASSWORDS, common_passwords
from mscr.testing.api import PASSWORD, Account
from mscr.testing.databases import on_sqlite
from mscr.testing.problems import problem

# SHA-256 of the list with its line breaks: every version must refuse the same passwords.
COMMON_PASSWORDS_DIGEST = "44913a0f7e8fb43fbbfb20866e2df4702931957de7f6e6b660de5013f6b9cc48"
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


def test_the_common_passwords_are_the_recorded_ones() -> None:
    """PW3: those of zxcvbn that reach the shortest length that any settings allow."""
    passwords = common_passwords()
    words = passwords.split("\n")

    assert sha256(passwords.encode()).hexdigest() == COMMON_PASSWORDS_DIGEST
    assert len(words) == 2 + 11_611
    assert min(len(word) for word in words[1:-1]) == 8


def test_the_list_of_common_passwords_names_its_source_and_its_licence() -> None:
    head, _, _ = COMMON_PASSWORDS.read_text(encoding="utf-8").partition("\n\n")

    assert "https://github.com/dwolfhub/zxcvbn-python" in head
    assert "MIT License" in head
    assert all(line.startswith("#") for line in head.splitlines())


async def test_a_password_of_two_common_ones_on_two_lines_is_accepted(api: Api) -> None:
    """PW2: the list has one password a line, and a password may contain a line break."""
    first, second, *_ = common_passwords().split()

    await api.register(password=f"{first}\n{second}")


@pytest.mark.parametrize(
    "password", ["PassWord", "1q2w3e4r", "a" * 9, "AbcaBc" * 3, " " * 8, FULL_WIDTH]
)
async def test_a_common_password_is_refused(api: Api, account: Account, password: str) -> None:
    """PW3: case-insensitive."""
    assert fault(await register(api, password)) == "password: password_common"
    assert fault(await change(api, account, password)) == "new_password: password_common"


@on_sqlite
@pytest.mark.settings(PASSWORD_REFUSE_COMMON=False)
async def test_a_setting_allows_common_passwords(api: Api) -> None:
    """The length and the account's names are still checked."""
    assert (await register(api, "password")).status_code == 201
    assert fault(await register(api, "iloveu")) == "password: password_too_short"
    assert fault(await register(api, "ada.lovelace")) == "password: password_guessable"


async def test_a_password_that_contains_a_common_one_is_accepted(api: Api) -> None:
    """PW2: only whole passwords are compared with the list."""
    await api.register(password="iloveyou and the sea")


@on_sqlite
@pytest.mark.settings(APP_NAME="FastAPI Backend")
@pytest.mark.parametrize("password", GUESSABLE)
async def test_a_password_of_mostly_names_is_refused(api: Api, password: str) -> None:
    """PW4."""
    assert fault(await register(api, password)) == "password: password_guessable"


async def test_a_change_to_the_accounts_address_is_refused(api: Api) -> None:
    """PW4: the address of the account's row, checked after the current password."""
    account = await api.register("grace.hopper@example.com")

    assert fault(await change(api, account, "Grace.Hopper7")) == "new_password: password_guessable"
    assert (await api.try_login(account.email, PASSWORD)).status_code == 200


@pytest.mark.parametrize("password", ["my name is augusta king", "adaadvance"])
async def test_a_password_of_more_than_names_is_accepted(api: Api, password: str) -> None:
    """PW4."""
    assert (await register(api, password)).status_code == 201
