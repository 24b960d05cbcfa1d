"""Requests to URLs that others have chosen reach public servers only (SSRF)."""

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mscr.connections.public_addresses import is_public
from mscr.connections.public_client import ForbiddenUrlError, PublicClient
from mscr.testing.certificates import server_context, write_certificate
from mscr.testing.http_receiver import HttpReceiver, http_receiver

HOST = "hooks.example.com"
PUBLIC = "93.184.215.14"
Resolver = Callable[..., list[str]]


@pytest.fixture
async def receiver() -> AsyncIterator[HttpReceiver]:
    async with http_receiver() as found:
        yield found


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return the answers of the resolver for HOST, the next one first. Each is used up."""
    answers: list[list[str]] = []
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        if host not in {HOST, HOST.encode()}:
            return resolve(host, port, *arguments, **options)
        families = {True: socket.AF_INET6, False: socket.AF_INET}
        return [
            (families[":" in address], socket.SOCK_STREAM, 6, "", (address, port))
            for address in answers.pop(0)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return answers


async def refusal(url: str, client: PublicClient | None = None) -> str:
    with pytest.raises(ForbiddenUrlError) as error:
        await (client or PublicClient()).post(url, b"{}", {})
    return str(error.value)


# --- addresses


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104  # refused
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.9.9.9",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:0:a9fe:a9fe::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::1",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_an_internal_address_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [PUBLIC, "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"],
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


# --- forms of URLs


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://hooks.example.com/", "https://"),
        ("ftp://hooks.example.com/", "https://"),
        ("file:///etc/passwd", "https://"),
        ("gopher://hooks.example.com/", "https://"),
        ("//hooks.example.com/", "https://"),
        ("https:///path", "https://"),
        ("https://\0/", "https://"),
        ("https://[::1/", "https://"),
        ("https://0177.0.0.1/", "https://"),
        ("https://hooks.example.com/" + "a" * 2_000, "https://"),
        ("", "https://"),
        ("https://user:password@hooks.example.com/", "user"),
        ("https://user@hooks.example.com/", "user"),
        ("https://hooks.example.com\\@evil.example/", "user"),
        ("https://hooks.example.com:0/", "port"),
        ("https://hooks.example.com:22/", "port"),
        ("https://hooks.example.com:80/", "port"),
        ("https://hooks.example.com:6379/", "port"),
    ],
)
async def test_a_forbidden_form_is_refused_without_a_lookup(
    lookups: list[list[str]], url: str, reason: str
) -> None:
    assert reason in await refusal(url)
    with pytest.raises(ForbiddenUrlError):
        PublicClient().check_url(url)


@pytest.mark.parametrize("port", ["", ":443", ":8443"])
def test_a_permitted_form_is_accepted(port: str) -> None:
    PublicClient().check_url(f"https://hooks.example.com{port}/path?query")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0.0.0.0",  # noqa: S104  # refused
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[fe80::1]",
        "169.254.169.254",
        "localhost",
    ],
)
async def test_no_spelling_of_an_internal_address_is_connected_to(
    receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """The receiver listens, and a connection would reach it."""
    monkeypatch.setattr("mscr.connections.public_client._PORTS", (receiver.port,))

    assert await refusal(f"https://{host}:{receiver.port}/") == (
        "the host has an address that is not public"
    )
    assert receiver.connections == 0


async def test_a_name_that_no_resolver_takes_is_refused() -> None:
    assert await refusal(f"https://{'a' * 64}.example.com/") == "the host is no valid name"


async def test_a_name_without_an_address_is_an_error_that_may_pass() -> None:
    with pytest.raises(OSError, match=r".+"):
        await PublicClient().post("https://nowhere.invalid/", b"", {})


# --- names


@pytest.mark.parametrize("internal", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1"])
@pytest.mark.parametrize("is_first", [True, False])
async def test_a_name_with_one_internal_address_is_refused(
    receiver: HttpReceiver,
    lookups: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    internal: str,
    is_first: bool,
) -> None:
    monkeypatch.setattr("mscr.connections.public_client._PORTS", (receiver.port,))
    lookups.append([internal, PUBLIC] if is_first else [PUBLIC, internal])

    assert "not public" in await refusal(f"https://{HOST}:{receiver.port}/")
    assert receiver.connections == 0


async def test_a_name_is_resolved_once_and_that_address_is_connected_to(
    receiver: HttpReceiver, lookups: list[list[str]]
) -> None:
    """DNS rebinding: a second lookup would lead to the other server."""
    async with http_receiver(host="127.0.0.2", port=receiver.port) as other:
        lookups += [["127.0.0.1"], ["127.0.0.2"]]
        client = PublicClient(accept_loopback=True)
        response = await client.post(f"http://{HOST}:{receiver.port}/path?q=1", b"{}", {"a": "b"})

    assert (response.status, response.is_success) == (204, True)
    assert (receiver.connections, other.connections) == (1, 0)
    assert lookups == [["127.0.0.2"]]
    [request] = receiver.received
    assert (request.line, request.body) == ("POST /path?q=1 HTTP/1.1", b"{}")
    assert request.headers["host"] == f"{HOST}:{receiver.port}"
    assert request.headers["a"] == "b"


async def test_the_next_address_is_tried_if_one_refuses_connections(
    receiver: HttpReceiver, lookups: list[list[str]]
) -> None:
    lookups.append(["127.0.0.3", "127.0.0.1"])

    response = await PublicClient(accept_loopback=True).post(
        f"http://{HOST}:{receiver.port}/", b"", {}
    )

    assert (response.status, receiver.connections) == (204, 1)


@contextlib.contextmanager
def silent_server(port: int, *, is_full: bool) -> Iterator[None]:
    """Listen on 127.0.0.2 and answer nothing: no connection if it is full, else no TLS."""
    with contextlib.ExitStack() as sockets:
        server = sockets.enter_context(socket.socket())
        server.bind(("127.0.0.2", port))
        server.listen(0 if is_full else 10)
        for _ in range(4 if is_full else 0):
            client = sockets.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.2", port))
        yield


async def test_the_next_address_is_tried_if_one_is_silent(
    receiver: HttpReceiver, lookups: list[list[str]]
) -> None:
    """A firewall that drops packets answers nothing."""
    lookups.append(["127.0.0.2", "127.0.0.1"])
    client = PublicClient(accept_loopback=True, timeout=timedelta(seconds=2))

    with silent_server(receiver.port, is_full=True):
        response = await client.post(f"http://{HOST}:{receiver.port}/", b"", {})

    assert (response.status, receiver.connections) == (204, 1)


async def test_slow_names_of_users_do_not_delay_other_lookups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thread waits for the name server even if nobody waits for the thread any longer."""
    started: list[str] = []
    may_end = threading.Event()
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        if str(host).endswith(HOST):
            started.append(host)
            may_end.wait()
            raise socket.gaierror
        return resolve(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    client = PublicClient(timeout=timedelta(seconds=0.2))
    calls = [client.post(f"https://{number}.{HOST}/", b"", {}) for number in range(40)]
    try:
        ends = await asyncio.gather(*calls, return_exceptions=True)
        async with asyncio.timeout(5):
            await asyncio.get_running_loop().getaddrinfo("localhost", 443)
    finally:
        may_end.set()

    assert {*map(type, ends)} == {TimeoutError}
    # Lookups that had not begun were cancelled.
    with pytest.raises(ForbiddenUrlError):
        await client.post("https://127.0.0.1/", b"", {})
    assert len(started) == 8


@pytest.mark.parametrize("internal", ["10.0.0.1", "169.254.169.254", "::"])
async def test_the_permission_for_loopback_permits_nothing_else(
    lookups: list[list[str]], internal: str
) -> None:
    lookups.append([internal])

    assert "not public" in await refusal(f"http://{HOST}/", PublicClient(accept_loopback=True))


# --- TLS


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ssl.SSLContext]:
    """Return a function for a server's certificate that this machine trusts."""

    def make(host: str) -> ssl.SSLContext:
        certificate = write_certificate(tmp_path / "server.pem", host)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        return server_context(certificate)

    return make


async def test_tls_verifies_the_name_at_the_checked_address(
    lookups: list[list[str]], trusted: Callable[[str], ssl.SSLContext]
) -> None:
    async with http_receiver(tls=trusted(HOST)) as receiver:
        lookups.append(["127.0.0.1"])
        client = PublicClient(accept_loopback=True)
        response = await client.post(f"https://{HOST}:{receiver.port}/", b"", {})

    assert response.status == 204


async def test_a_certificate_for_another_name_gets_no_request(
    lookups: list[list[str]], trusted: Callable[[str], ssl.SSLContext]
) -> None:
    async with http_receiver(tls=trusted("other.example.com")) as receiver:
        lookups.append(["127.0.0.1"])
        client = PublicClient(accept_loopback=True)
        with pytest.raises(httpx2.ConnectError, match="certificate"):
            await client.post(f"https://{HOST}:{receiver.port}/", b"", {})

    assert receiver.received == []


async def test_the_next_address_is_tried_if_one_is_silent_in_tls(
    lookups: list[list[str]], trusted: Callable[[str], ssl.SSLContext]
) -> None:
    async with http_receiver(tls=trusted(HOST)) as receiver:
        lookups.append(["127.0.0.2", "127.0.0.1"])
        client = PublicClient(accept_loopback=True, timeout=timedelta(seconds=2))
        with silent_server(receiver.port, is_full=False):
            response = await client.post(f"https://{HOST}:{receiver.port}/", b"", {})

    assert response.status == 204


# --- responses


async def test_a_redirect_is_not_followed(receiver: HttpReceiver) -> None:
    async with http_receiver() as internal:
        location = f"http://127.0.0.1:{internal.port}/".encode()
        receiver.answers = [
            b"HTTP/1.1 302 Found\r\nlocation: " + location + b"\r\ncontent-length: 0\r\n\r\n"
        ]
        response = await post(receiver)

    assert (response.status, response.headers["location"]) == (302, location.decode())
    assert not response.is_success
    assert (receiver.connections, internal.connections) == (1, 0)


async def test_proxies_of_the_environment_are_not_used(
    receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would resolve the name again, and reach what it can."""
    async with http_receiver() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        await post(receiver)

    assert (receiver.connections, proxy.connections) == (1, 0)


async def test_a_long_response_is_cut(receiver: HttpReceiver) -> None:
    length = 50_000_000
    receiver.answers = [
        f"HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n".encode() + b"x" * 200_000
    ]

    response = await post(receiver, max_body_bytes=1_000)

    assert (response.status, response.body) == (200, b"x" * 1_000)


async def test_a_response_is_not_decompressed(receiver: HttpReceiver) -> None:
    """A small compressed body could be a huge one (decompression bomb)."""
    receiver.answers = [
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nnot!"
    ]

    assert (await post(receiver)).body == b"not!"
    assert receiver.received[0].headers["accept-encoding"] == "identity"


async def test_a_server_that_does_not_answer_ends_with_the_timeout() -> None:
    may_end = asyncio.Event()

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        await may_end.wait()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = PublicClient(accept_loopback=True, timeout=timedelta(seconds=0.2))
        with pytest.raises(TimeoutError):
            await client.post(f"http://127.0.0.1:{port}/", b"", {})
        may_end.set()


async def test_urls_are_not_logged(
    receiver: HttpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    """ER3: their paths and queries may contain secrets."""
    with caplog.at_level(logging.INFO):
        await post(receiver)

    assert "canary" not in caplog.text


async def post(receiver: HttpReceiver, **options: Any) -> Any:
    url = f"http://127.0.0.1:{receiver.port}/canary?key=canary"
    return await PublicClient(accept_loopback=True, **options).post(url, b"{}", {})
