"""Send bodies to every route that reads one."""

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from fastapi import FastAPI
from httpx2 import Response

from mscr.http.media_types import JSON_TYPE
from mscr.testing.api import Account, Api
from mscr.testing.examples import Body, Part
from mscr.testing.objects import Objects, Place
from mscr.testing.routes import ApiRoute


class BodySender:
    """Sends as an administrator, who passes every permission check, to their own objects.

    `routes` names those that read an object of JSON, `bodies` all that read a body.
    """

    def __init__(self, api: Api, admin: Account, objects: Objects) -> None:
        self._api = api
        self._admin = admin
        self._objects = objects
        self._places: dict[str, Place] = {}
        self.bodies: dict[str, Body] = {}

    @classmethod
    async def create(cls, api: Api, app: FastAPI) -> "BodySender":
        admin = await api.register_admin()
        sender = cls(api, admin, Objects(api, app))
        for route in sender._objects.routes.values():
            await sender._prepare(route)
        return sender

    @property
    def routes(self) -> list[str]:
        return [
            route
            for route, body in self.bodies.items()
            if body.media_type == JSON_TYPE and self.objects(route)
        ]

    def body(self, route: str) -> dict[str, Any]:
        """Return a body that the route accepts."""
        return dict(self.bodies[route].value)

    def fits(self, route: str, body: Any) -> bool:
        """Return whether the body fits the documented schema."""
        return self._objects.examples.fits(self.bodies[route].schema, body)

    def fields(self, route: str, place: tuple[str, ...]) -> set[str]:
        """Return the names of the fields of an object in the body."""
        return set(_at(self.body(route), place))

    def with_fields(
        self, route: str, place: tuple[str, ...], fields: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return a body with more fields in the object at this place."""
        body = deepcopy(self.body(route))
        _at(body, place).update(fields)
        return body

    def objects(self, route: str) -> list[tuple[str, ...]]:
        """Return the place of each object in the body whose fields are declared."""
        return list(self._objects.examples.objects(self.bodies[route]))

    async def send(
        self, route: str, content: Any, kind: str = "application/json", **more: str
    ) -> Response:
        headers = [(b"content-type", kind.encode("latin-1"))]
        headers += [(name.encode(), value.encode()) for name, value in more.items()]
        headers += [(name.encode(), value.encode()) for name, value in self._admin.headers.items()]
        return await self._request(route, content=content, headers=headers)

    async def send_parts(self, route: str, parts: dict[str, Part]) -> Response:
        """Send a multipart form."""
        return await self._request(route, files=parts, headers=self._admin.headers)

    async def send_json(self, route: str, body: Any) -> Response:
        return await self.send(route, json.dumps(body))

    async def accepted(self, route: str, example: Any) -> Any:
        """Return the documented example of a body with what it cannot know, as `Objects` does."""
        return await self._objects.accepted(self._objects.routes[route], example, self._admin)

    async def _prepare(self, route: ApiRoute) -> None:
        if (body := await self._objects.body(route, self._admin)) is not None:
            self.bodies[route.name] = body
            self._places[route.name] = await self._objects.place(route, self._admin)

    async def _request(self, route: str, **arguments: Any) -> Response:
        method, path = self._objects.routes[route].method, self._places[route].path
        return await self._api.client.request(method, path, **arguments)


def _at(body: dict[str, Any], place: tuple[str, ...]) -> dict[str, Any]:
    for name in place:
        body = body[name]
    return body
