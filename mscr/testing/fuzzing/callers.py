"""Callers of the fuzzer, who stay logged in though some requests end their own session."""

import asyncio
import secrets
from dataclasses import dataclass
from typing import Final

from schemathesis.python.asgi import ASGIClient

from mscr.core.config import Settings
from mscr.project import Project
from mscr.testing.api import Account, Api, account_with, promote
from mscr.testing.routes import Caller

# The password of the examples in OpenAPI, so that these are valid and take effect.
PASSWORD: Final = "seven wet umbrellas"


@dataclass(frozen=True)
class FuzzedApplication:
    """The application whose routes are called, with its settings and its roles."""

    project: Project
    settings: Settings
    api: type[Api]


class LoggedIn:
    """An account with a living session before each request; replaced by a new one if necessary.

    A request may have ended the session: a logout, a password change, a deletion. Instead of
    listing such routes, check the account after each request that may change something. Where an
    application has no administrators, its users are those with the most permissions.
    """

    def __init__(self, client: ASGIClient, tested: FuzzedApplication, kind: Caller) -> None:
        self._client = client
        self._tested = tested
        self._is_administrator = kind == "administrator" and hasattr(tested.api, "administrator")
        self._in_doubt = False
        self._account = self._register()
        if self._is_administrator:
            self._register()  # so that no caller is the last administrator

    @property
    def account(self) -> Account:
        if self._in_doubt and not self._is_alive():
            self._account = self._register()
        self._in_doubt = False
        return self._account

    def doubt(self) -> None:
        """Mark the session for a check: a request may have ended it."""
        self._in_doubt = True

    def _is_alive(self) -> bool:
        return self._client.get(self._tested.api.me_path, headers=self._account.headers).ok

    def _register(self) -> Account:
        email = f"user-{secrets.token_hex(6)}@example.com"
        path, body = self._tested.api.registration(email, PASSWORD)
        response = self._client.post(path, json=body)
        assert response.status_code == 201, response.text
        tokens = self._tested.api.tokens_in(response.json())
        account = account_with(email, PASSWORD, tokens, self._tested.project.dialect())
        if self._is_administrator:
            asyncio.run(self._promote(account))
        return account

    async def _promote(self, account: Account) -> None:
        # Connections belong to an event loop, and the application runs on that of its client.
        database = self._tested.project.create_database(self._tested.settings)
        try:
            await promote(account, database, self._tested.api.administrator)
        finally:
            await database.close()
