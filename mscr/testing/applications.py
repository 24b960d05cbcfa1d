"""The application once more: beside the one of the fixtures, or with other settings."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from app.core.config import Settings
from app.main import create_app


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[AsyncClient]:
    """A client of another process, so to speak, that has these settings."""
    app = create_app(settings)
    async with app.router.lifespan_context(app), client_from("127.0.0.1", app) as client:
        yield client


def new_address() -> str:
    """An IP address in a network that no other test calls from."""
    return f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"


def client_from(address: str, app: FastAPI) -> AsyncClient:
    """A client of the application that calls it from this IP address."""
    transport = ASGITransport(app=app, raise_app_exceptions=False, client=(address, 50_000))
    return AsyncClient(transport=transport, base_url="http://testserver")
