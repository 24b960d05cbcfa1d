"""More instances of the application, and clients with other addresses."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Request, Response
from starlette.types import Message, Receive, Scope, Send

from mscr.http.dialect_middleware import DEBUG
from mscr.testing.problems import DIALECT, PROBLEM


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Yield a client of a second instance, which stands for another process."""
    async with app.router.lifespan_context(app), client_from("127.0.0.1", app) as client:
        yield client


def new_address() -> str:
    """Return an IP address in a network that no other test uses."""
    return f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"


def client_from(address: str, app: FastAPI) -> AsyncClient:
    """Return a client of the application with this IP address."""
    client = (address, 50_000)
    is_default = app.state.dialect.is_default
    transport = (ASGITransport if is_default else DialectTransport)(
        app=app, raise_app_exceptions=False, client=client
    )
    return AsyncClient(transport=transport, base_url="http://testserver")


class DialectTransport(ASGITransport):
    """Calls an application with a dialect. Its responses have the problem that an error shows."""

    async def handle_async_request(self, request: Request) -> Response:
        problems: list[dict[str, Any]] = []
        app: Any = self.app

        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            async def watch(message: Message) -> None:
                if message["type"] == DEBUG:
                    problems.append(message["info"]["problem"])
                else:
                    await send(message)

            await app({**scope, "extensions": {DEBUG: {}}}, receive, watch)

        transport = ASGITransport(
            app=watched, raise_app_exceptions=self.raise_app_exceptions, client=self.client
        )
        response = await transport.handle_async_request(request)
        response.extensions[DIALECT] = app.state.dialect
        if problems:
            response.extensions[PROBLEM] = problems[0]
        return response
