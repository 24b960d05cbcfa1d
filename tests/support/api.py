"""Steps that many tests begin with, over HTTP wherever the API has them."""

import secrets
from dataclasses import dataclass, field
from typing import Any

import jwt
from httpx2 import AsyncClient, Response
from sqlalchemy import update

from app.db.session import Database
from app.models import User, UserRole
from tests.support.cookies import token_set

PASSWORD = "correct horse battery"


@dataclass
class Account:
    """Somebody who is logged in."""

    email: str
    public_id: str
    tokens: dict[str, Any]
    password: str = field(default=PASSWORD, repr=False)

    @property
    def access_token(self) -> str:
        return str(self.tokens["access_token"])

    @property
    def refresh_token(self) -> str:
        return str(self.tokens["refresh_token"])

    @property
    def headers(self) -> dict[str, str]:
        return bearer(self.access_token)


def bearer(access_token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {access_token}"}


class Api:
    def __init__(self, client: AsyncClient, database: Database) -> None:
        self.client = client
        self._database = database

    async def register(self, email: str | None = None, *, password: str = PASSWORD) -> Account:
        email = email or f"user-{secrets.token_hex(6)}@example.com"
        body = {"email": email, "password": password}
        response = await self.client.post("/api/v1/auth/register", json=body)
        assert response.status_code == 201, response.text
        return account_of(email, password, response)

    async def register_admin(self) -> Account:
        """An administrator: registered like everybody, then promoted."""
        account = await self.register()
        await self.promote(account)
        return account

    async def promote(self, account: Account) -> None:
        """Make an administrator."""
        await promote(account, self._database)

    async def login(self, account: Account) -> Account:
        """The same person once more, on another device."""
        response = await self.try_login(account.email, account.password)
        assert response.status_code == 200, response.text
        return account_of(account.email, account.password, response)

    async def try_login(self, email: str, password: str) -> Response:
        body = {"email": email, "password": password}
        return await self.client.post("/api/v1/auth/login", json=body)

    async def refresh(self, refresh_token: str) -> Response:
        body = {"refresh_token": refresh_token}
        return await self.client.post("/api/v1/auth/refresh", json=body)

    async def me(self, access_token: str) -> Response:
        return await self.client.get("/api/v1/users/me", headers=bearer(access_token))

    async def create_item(self, owner: Account, **values: Any) -> dict[str, Any]:
        body = {"title": "A thing", **values}
        response = await self.client.post("/api/v1/items", json=body, headers=owner.headers)
        assert response.status_code == 201, response.text
        created: dict[str, Any] = response.json()["data"]
        return created


async def promote(account: Account, database: Database) -> None:
    """Make an administrator, in the database: the API has no way to."""
    async with database.sessions.begin() as session:
        await session.execute(
            update(User).where(User.public_id == account.public_id).values(role=UserRole.ADMIN)
        )


def account_of(email: str, password: str, response: Response) -> Account:
    """Whoever logged in with this answer, wherever it has the refresh token."""
    tokens = response.json()["data"]
    tokens.setdefault("refresh_token", token_set(response))
    # Not asked for at /users/me: that would be one request more in nearly every test.
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    return Account(email, claims["sub"], tokens, password)
