"""The listeners for tests count connections and close them."""

import asyncio
import ssl
from pathlib import Path

from mscr.testing.callers import counting_calls, hang_up
from mscr.testing.certificates import server_context, write_certificate
from mscr.testing.tls_servers import server_with_tls

HOST = "127.0.0.1"


async def test_each_connection_is_counted_and_closed() -> None:
    async with counting_calls() as counter:
        port = int(counter.url.rpartition(":")[2].partition("/")[0])
        reader, writer = await asyncio.open_connection(HOST, port)

        assert await reader.read() == b""
        assert counter.calls == 1
        await hang_up(writer)


async def test_a_client_that_trusts_the_certificate_is_disconnected(tmp_path: Path) -> None:
    certificate = write_certificate(tmp_path / "server.pem", "localhost")
    trusting = ssl.create_default_context(cafile=certificate)
    async with server_with_tls(server_context(certificate)) as port:
        reader, writer = await asyncio.open_connection(
            HOST, port, ssl=trusting, server_hostname="localhost"
        )

        assert await reader.read() == b""
        await hang_up(writer)
