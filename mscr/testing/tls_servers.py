"""Servers that get as far as TLS: with this certificate, or without any."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.support.callers import hang_up

# What a client of PostgreSQL sends before TLS, and the two answers.
SSL_REQUEST_BYTES = 8


@asynccontextmanager
async def postgres_with_tls(context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """The port of a PostgreSQL, so to speak, that offers TLS; or, without a context, refuses it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readexactly(SSL_REQUEST_BYTES)
            writer.write(b"N" if context is None else b"S")
            await writer.drain()
            if context is not None:
                await writer.start_tls(context)
        await hang_up(writer)

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def server_with_tls(context: ssl.SSLContext) -> AsyncIterator[int]:
    """The port of a server that speaks TLS from the first byte, and then nothing."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hang_up(writer)

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def server_that_says(greeting: bytes) -> AsyncIterator[int]:
    """The port of a server that says this to whoever connects, and hangs up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.read(1)
            writer.write(greeting)
            await writer.drain()
        await hang_up(writer)

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
