"""Common first steps of tests, over HTTP, with the contract's own routes for accounts."""

import secrets
from collections.abc import Mapping
from typing import Any

from mscr.testing.api import Account
from mscr.testing.api import Api as KitApi


class Api(KitApi):
    me_path = "/api/user"

    @classmethod
    def registration(cls, email: str, password: str) -> tuple[str, Mapping[str, Any]]:
        username = f"user-{secrets.token_hex(6)}"
        user = {"username": username, "email": email, "password": password}
        return "/api/users", {"user": user}

    @classmethod
    def login_request(cls, email: str, password: str) -> tuple[str, Mapping[str, Any]]:
        return "/api/users/login", {"user": {"email": email, "password": password}}

    @classmethod
    def tokens_in(cls, body: Any) -> dict[str, Any]:
        return {"access_token": body["user"]["token"]}

    async def register_admin(self) -> Account:
        """Register a user: there are no administrators."""
        return await self.register()
