"""Common first steps of tests (register, log in, create an item), over HTTP where possible."""

from typing import Any

from app.models import UserRole
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
