"""Who asks while requests are made up, some of which end the asker's own session."""

import asyncio
import secrets
from typing import Final

import jwt
from schemathesis.python.asgi import ASGIClient

from app.core.config import Settings
from app.db.session import Database
from tests.support.api import Account, promote
from tests.support.routes import Caller

ME: Final = "/api/v1/users/me"
REGISTER: Final = "/api/v1/auth/register"
# That of the documentation's examples: then these are right, and do what they say.
PASSWORD: Final = "seven wet umbrellas"


class LoggedIn:
    """An account whose session is alive before each request, if by being another one.

    A request may have ended it: a logout, another password, a deletion. Which routes do that
    needs no list here: after each that may change something, the account is asked for.
    """

    def __init__(self, client: ASGIClient, settings: Settings, kind: Caller) -> None:
        self._client = client
        self._settings = settings
        self._kind = kind
        self._in_doubt = False
        self._account = self._register()
        if kind == "administrator":
            self._register()  # so that nobody else is the last one

    @property
    def account(self) -> Account:
        if self._in_doubt and not self._is_alive():
            self._account = self._register()
        self._in_doubt = False
        return self._account

    def doubt(self) -> None:
        """Something was changed, perhaps by or for this account."""
        self._in_doubt = True

    def _is_alive(self) -> bool:
        return self._client.get(ME, headers=self._account.headers).ok

    def _register(self) -> Account:
        email = f"user-{secrets.token_hex(6)}@example.com"
        response = self._client.post(REGISTER, json={"email": email, "password": PASSWORD})
        assert response.status_code == 201, response.text
        tokens = response.json()["data"]
        claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
        account = Account(email, claims["sub"], tokens, PASSWORD)
        if self._kind == "administrator":
            asyncio.run(self._promote(account))
        return account

    async def _promote(self, account: Account) -> None:
        # Connections belong to a loop, and the application runs on that of its client.
        database = Database(self._settings)
        try:
            await promote(account, database)
        finally:
            await database.close()
