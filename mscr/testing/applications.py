"""More instances of the application, and clients with other addresses."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient


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
    transport = ASGITransport(app=app, raise_app_exceptions=False, client=(address, 50_000))
    return AsyncClient(transport=transport, base_url="http://testserver")
