"""Common first steps of tests (register, log in), over HTTP where possible."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

import jwt
from httpx2 import AsyncClient, Response
from sqlalchemy import update

from mscr.db.session import Database
from mscr.http.dialect import DEFAULT_DIALECT, Dialect
from mscr.testing.cookies import token_set
from mscr.testing.json_schema import required_examples

if TYPE_CHECKING:
    from pydantic import BaseModel

PASSWORD = "correct horse battery"


@dataclass
class Account:
    """An account, with the tokens of one session."""

    email: str
    public_id: str
    tokens: dict[str, Any]
    password: str = field(default=PASSWORD, repr=False)
    token_scheme: str = "Bearer"

    @property
    def access_token(self) -> str:
        return str(self.tokens["access_token"])

    @property
    def refresh_token(self) -> str:
        return str(self.tokens["refresh_token"])

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"{self.token_scheme} {self.access_token}"}


def bearer(access_token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {access_token}"}


class Api:
    """Steps of accounts. Subclass it with the steps of an application's own routes.

    An application with other routes for accounts overrides the first four methods.
    """

    administrator: ClassVar[Enum]
    """The role with the most permissions."""
    me_path: ClassVar = "/api/v1/users/me"
    """The path of the caller's account."""
    registration_schema: ClassVar["type[BaseModel] | None"] = None
    """The schema of a registration: each field that it requires is sent with its example."""
    dialect: Dialect = DEFAULT_DIALECT
    """The dialect of the application. The fixture `api` sets it."""

    @classmethod
    def registration(cls, email: str, password: str) -> tuple[str, Mapping[str, Any]]:
        """Return the path and the body of a registration, with the fields that it requires.

        Override it for a value that must be another one each time.
        """
        others = required_examples(cls.registration_schema) if cls.registration_schema else {}
        return "/api/v1/auth/register", {**others, "email": email, "password": password}

    @classmethod
    def login_request(cls, email: str, password: str) -> tuple[str, Mapping[str, Any]]:
        """Return the path and the body of a login."""
        return "/api/v1/auth/login", {"email": email, "password": password}

    @classmethod
    def tokens_in(cls, body: Any) -> dict[str, Any]:
        """Return the tokens, by their names in OAuth2, that a login or a registration returned."""
        tokens: dict[str, Any] = body["data"]
        return tokens

    def __init__(self, client: AsyncClient, database: Database) -> None:
        self.client = client
        self._database = database

    async def register(
        self, email: str | None = None, *, password: str = PASSWORD, role: Enum | None = None
    ) -> Account:
        """Register an account, over HTTP, and give it a role, in the database."""
        email = email or f"user-{secrets.token_hex(6)}@example.com"
        account = await self._register(email, password)
        if role is not None:
            await promote(account, self._database, role)
        return account

    async def _register(self, email: str, password: str) -> Account:
        path, body = self.registration(email, password)
        response = await self.client.post(path, json=body)
        assert response.status_code == 201, response.text
        return self._account(email, password, response)

    async def register_admin(self) -> Account:
        """Register an administrator."""
        return await self.register(role=self.administrator)

    async def promote(self, account: Account) -> None:
        """Make this account an administrator."""
        await promote(account, self._database, self.administrator)

    async def login(self, account: Account) -> Account:
        """Start another session of the same account."""
        response = await self.try_login(account.email, account.password)
        assert response.status_code == 200, response.text
        return self._account(account.email, account.password, response)

    async def try_login(self, email: str, password: str) -> Response:
        path, body = self.login_request(email, password)
        return await self.client.post(path, json=body)

    def authorization(self, access_token: str) -> dict[str, str]:
        """Return the header with this token, in the scheme of the application."""
        return {"Authorization": f"{self.dialect.token_scheme_name} {access_token}"}

    async def example_body(self, route: str, body: Any, account: Account) -> Any:
        """Return the body that the checks of all routes send as this account.

        Override it for values that do not follow from the schema: a number with a check digit that
        must be another one each time, or the id of an object that has another name.
        """
        return body

    def example_row(self, table: str, values: dict[str, Any]) -> dict[str, Any]:
        """Return the row that the check of deleted accounts inserts into a table.

        Override it for a table whose constraints refuse the made-up values.
        """
        return values

    async def delete_account(self, account: Account) -> Response:
        headers, body = account.headers, {"password": account.password}
        return await self.client.request("DELETE", self.me_path, json=body, headers=headers)

    async def refresh(self, refresh_token: str) -> Response:
        body = {"refresh_token": refresh_token}
        return await self.client.post("/api/v1/auth/refresh", json=body)

    async def me(self, access_token: str) -> Response:
        return await self.client.get(self.me_path, headers=self.authorization(access_token))

    def _account(self, email: str, password: str, response: Response) -> Account:
        tokens = self.tokens_in(response.json())
        tokens.setdefault("refresh_token", token_set(response))
        return account_with(email, password, tokens, self.dialect)


async def promote(account: Account, database: Database, role: Enum) -> None:
    """Give this account a role in the database: the API has no route for that."""
    user = database.tables.user
    async with database.sessions.begin() as session:
        await session.execute(
            update(user).where(user.public_id == account.public_id).values(role=role)
        )


def account_of(email: str, password: str, response: Response) -> Account:
    """Return the account of a login's response, with the refresh token of its body or cookie."""
    tokens = response.json()["data"]
    tokens.setdefault("refresh_token", token_set(response))
    return account_with(email, password, tokens)


def account_with(
    email: str, password: str, tokens: dict[str, Any], dialect: Dialect = DEFAULT_DIALECT
) -> Account:
    """Return the account that has these tokens."""
    # Read from the token: a request to /users/me would be one more in nearly every test.
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    return Account(email, claims["sub"], tokens, password, dialect.token_scheme_name)
