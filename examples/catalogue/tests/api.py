"""Common first steps of tests, over HTTP."""

from typing import Any

from examples.catalogue.models import UserRole
from mscr.testing.api import Account
from mscr.testing.api import Api as KitApi


class Api(KitApi):
    administrator = UserRole.ADMIN

    async def create_item(self, owner: Account, **values: Any) -> dict[str, Any]:
        body = {"title": "A thing", **values}
        response = await self.client.post("/api/v1/items", json=body, headers=owner.headers)
        assert response.status_code == 201, response.text
        created: dict[str, Any] = response.json()["data"]
        return created

    async def titles(self, path: str, caller: Account) -> list[str]:
        """Return the titles that a list of items shows."""
        response = await self.client.get(f"/api/v1/items{path}", headers=caller.headers)
        assert response.status_code == 200, response.text
        return [item["title"] for item in response.json()["data"]]
