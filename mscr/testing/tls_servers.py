"""Servers that only perform a TLS handshake, refuse TLS, or send a greeting."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from mscr.testing.callers import hang_up

# A client of PostgreSQL sends an SSLRequest of this length; the server replies S or N.
SSL_REQUEST_BYTES = 8


@asynccontextmanager
async def postgres_with_tls(context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Yield the port of a mock PostgreSQL that offers TLS, or refuses it without a context."""

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
    """Yield the port of a server with implicit TLS that closes after the handshake."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hang_up(writer)

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def server_that_says(greeting: bytes) -> AsyncIterator[int]:
    """Yield the port of a server that sends this to every client and closes the connection."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.read(1)
            writer.write(greeting)
            await writer.drain()
        await hang_up(writer)

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
