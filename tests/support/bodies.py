"""Sending one body after the other to every route that reads one."""

import json
from typing import Any

from fastapi import FastAPI
from httpx2 import Response

from tests.support.api import Account, Api
from tests.support.routes import body_for, method_of, path_for, routes_of


class BodySender:
    """Speaks for an administrator, who gets furthest, about that administrator's item and tag."""

    def __init__(self, api: Api, app: FastAPI, admin: Account, item: dict[str, Any]) -> None:
        self._api = api
        self._admin = admin
        self._ids = {
            "user": admin.public_id,
            "item": item["public_id"],
            "tag": item["tags"][0]["public_id"],
        }
        self.routes = sorted(route for route in routes_of(app) if body_for(route, admin))

    @classmethod
    async def create(cls, api: Api, app: FastAPI) -> "BodySender":
        admin = await api.register_admin()
        return cls(api, app, admin, await api.create_item(admin, tags=["Thing"]))

    def body(self, route: str) -> dict[str, Any]:
        """A body that the route accepts."""
        return body_for(route, self._admin) or {}

    async def send(
        self, route: str, content: Any, kind: str = "application/json", **more: str
    ) -> Response:
        headers = [(b"content-type", kind.encode("latin-1"))]
        headers += [(name.encode(), value.encode()) for name, value in more.items()]
        headers += [(name.encode(), value.encode()) for name, value in self._admin.headers.items()]
        return await self._api.client.request(
            method_of(route),
            path_for(route, **self._ids),
            content=content,
            headers=headers,
        )

    async def send_parts(self, route: str, parts: dict[str, tuple[str, bytes, str]]) -> Response:
        """Send a multipart form."""
        return await self._api.client.request(
            method_of(route),
            path_for(route, **self._ids),
            files=parts,
            headers=self._admin.headers,
        )

    async def send_json(self, route: str, body: Any) -> Response:
        return await self.send(route, json.dumps(body))
