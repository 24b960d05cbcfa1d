"""A browser's page for tests of refresh tokens in a cookie."""

from typing import Any, Final

from httpx2 import AsyncClient, Response

from mscr.testing.api import PASSWORD, Account, Api, account_of
from mscr.testing.cookies import CLEARED, OWN_ORIGIN, cookie, set_cookies, token_set

AUTH: Final = "/api/v1/auth"
CHANGE_PASSWORD: Final = "/api/v1/users/me/change-password"


class Browser:
    """A page that sends its origin, and the cookie that was set last.

    `api` names the fields of a registration.
    """

    def __init__(self, client: AsyncClient, *, token: str = "", api: type[Api] = Api) -> None:
        self.client = client
        self.token = token
        self._api = api

    def another(self) -> "Browser":
        """Return another tab, which starts with the same cookie and tracks it separately."""
        return Browser(self.client, token=self.token, api=self._api)

    async def request(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **request: Any
    ) -> Response:
        own = {"Origin": OWN_ORIGIN} | (cookie(self.token) if self.token else {})
        response = await self.client.request(method, path, headers=own | (headers or {}), **request)
        if CLEARED in set_cookies(response):
            self.token = ""
        self.token = token_set(response) or self.token
        return response

    async def register(self, email: str) -> Account:
        path, body = self._api.registration(email, PASSWORD)
        response = await self.request("POST", path, json=body)
        assert response.status_code == 201, response.text
        return account_of(email, PASSWORD, response)

    async def login(self, account: Account) -> Response:
        body = {"email": account.email, "password": account.password}
        return await self.request("POST", f"{AUTH}/login", json=body)

    async def refresh(self) -> Response:
        return await self.request("POST", f"{AUTH}/refresh")

    async def logout(self) -> Response:
        return await self.request("POST", f"{AUTH}/logout")
