"""The client's address and scheme behind proxies: trusted peers, and how headers are read."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

import pytest
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from mscr.core.addresses import parse_network
from mscr.http.forwarded import ForwardedMiddleware
from mscr.http.refusals import Refusals
from mscr.server.refusal import Refusal

PROXY: Final = "10.0.0.1"
Lines = Iterable[tuple[str, str]]


class Behind:
    """An application behind proxies that remembers its last request."""

    def __init__(self, *trusted: str) -> None:
        self._middleware = ForwardedMiddleware(self._answer, trusted)
        self.scope: Scope = {}

    async def asked(self, peer: str | None, lines: Lines, kind: str = "http") -> "Behind":
        scope: dict[str, Any] = {
            "type": kind,
            "scheme": "ws" if kind == "websocket" else "http",
            "client": None if peer is None else (peer, 4711),
            "headers": [(name.lower().encode(), text.encode("latin-1")) for name, text in lines],
        }
        await self._middleware(scope, None, None)  # type: ignore[arg-type]  # neither is used
        return self

    @property
    def client(self) -> str | None:
        client = self.scope["client"]
        return client[0] if client else None

    async def _answer(self, scope: Scope, _: Receive, __: Send) -> None:
        self.scope = scope


async def client_for(header: str, *trusted: str, peer: str = PROXY) -> str | None:
    behind = Behind(*(trusted or (PROXY,)))
    return (await behind.asked(peer, [("X-Forwarded-For", header)])).client


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        ("10.0.0.1", "10.0.0.1"),
        # The IPv4-mapped form, which a dual-stack listener reports.
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.0/8"),
        ("::FFFF:0a00:0001", "10.0.0.0/8"),
        ("10.0.0.1", "::ffff:10.0.0.1"),
        ("10.0.0.1", "::ffff:10.0.0.0/104"),
        ("fd00::1", "fd00:0:0:0::0001"),
        ("fd00::1", "fd00::/8"),
        ("fe80::1%eth0", "fe80::/10"),
        ("203.0.113.7", "*"),
        ("not-an-address", "*"),
        (None, "unix"),
        ("", "unix"),
        (None, "*"),
    ],
)
async def test_the_headers_of_a_trusted_peer_are_read_however_its_address_is_spelled(
    peer: str | None, trusted: str
) -> None:
    behind = Behind(trusted)
    lines = [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https")]

    await behind.asked(peer, lines)

    assert (behind.client, behind.scope["scheme"]) == ("203.0.113.9", "https")


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        ("10.0.0.1", "10.0.0.2"),
        ("10.0.0.1", "10.0.0.0/32"),
        ("10.0.0.1", "unix"),
        ("10.0.0.1", "::/0"),
        ("10.0.0.1", "::ffff:0:0/95"),
        ("::1", "127.0.0.1"),
        ("not-an-address", "10.0.0.0/8"),
        (None, "10.0.0.1"),
    ],
)
async def test_the_headers_of_any_other_peer_are_ignored(peer: str | None, trusted: str) -> None:
    behind = Behind(trusted)
    lines = [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https")]

    await behind.asked(peer, lines)

    assert (behind.client, behind.scope["scheme"]) == (peer, "http")


@pytest.mark.parametrize(
    ("header", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        (" 203.0.113.9\t", "203.0.113.9"),
        ("203.0.113.9:5678", "203.0.113.9"),
        ("203.0.113.9:", "203.0.113.9"),
        ('"203.0.113.9"', "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("[::ffff:203.0.113.9]:99", "203.0.113.9"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:99", "2001:db8::1"),
        ('"[2001:db8::1]:99"', "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        # Entries left of the proxy's own come from the client and are ignored.
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("unknown, garbage,, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1, 203.0.113.9", "203.0.113.9"),
        # Empty entries are ignored.
        ("203.0.113.9,", "203.0.113.9"),
        ("203.0.113.9, ,", "203.0.113.9"),
    ],
)
async def test_the_entry_of_the_proxy_is_read_in_every_form(header: str, client: str) -> None:
    assert await client_for(header) == client


@pytest.mark.parametrize(
    "header",
    [
        *("", ",", "unknown", "_hidden", "garbage", "203.0.113.9 198.51.100.1", "203.0.113.09"),
        *("203.0.113.9:http", "203.0.113.9:5:6", "[::1", "[::1]99", "[]", "::1]", "1", "0x7f.1"),
        *("203.0.113.256", "203.0.113", "2001:db8::1::2", "\xb2.0.0.1", "1" * 5000),
        *("203.0.113.0/24", "for=203.0.113.9", "http://203.0.113.9", "203.0.113.9:\xb2"),
    ],
)
async def test_an_entry_that_is_no_address_falls_back_to_the_address_of_the_proxy(
    header: str,
) -> None:
    assert await client_for(header) == PROXY


@pytest.mark.parametrize(
    ("header", "client"),
    [
        ("203.0.113.9, 10.0.0.3, 10.0.0.2", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9, ::ffff:10.0.0.2", "203.0.113.9"),
        # The last address that a trusted proxy reported.
        ("203.0.113.9, garbage, 10.0.0.2", "10.0.0.2"),
        # The request comes from a proxy itself, or from another host in its network.
        ("10.0.0.4, 10.0.0.3, 10.0.0.2", "10.0.0.4"),
        # Above the limit of entries: the rest is not read.
        (", ".join(["203.0.113.9", "10.0.0.3", *["10.0.0.2"] * 31]), "10.0.0.3"),
        (", ".join(["203.0.113.9", *["10.0.0.2"] * 31]), "203.0.113.9"),
    ],
)
async def test_several_proxies_are_followed_from_the_right(header: str, client: str) -> None:
    assert await client_for(header, "10.0.0.0/8") == client


async def test_several_header_lines_are_one_list() -> None:
    behind = Behind(PROXY)
    lines = [("X-Forwarded-For", "198.51.100.1"), ("X-Forwarded-For", "203.0.113.9")]
    assert (await behind.asked(PROXY, lines)).client == "203.0.113.9"


@pytest.mark.parametrize(
    ("sent", "scheme"),
    [
        ("https", "https"),
        ("HTTPS", "https"),
        (" https ", "https"),
        ("http", "http"),
        ("", "http"),
        ("wss", "http"),
        ("ftp", "http"),
        ("javascript", "http"),
        # The client wrote the first value, the proxy the second.
        ("https, http", "http"),
        ("http, https", "https"),
        ("http,https,", "https"),
    ],
)
async def test_the_scheme_is_the_one_that_the_proxy_saw(sent: str, scheme: str) -> None:
    behind = Behind(PROXY)
    await behind.asked(PROXY, [("X-Forwarded-Proto", sent), ("X-Forwarded-For", "203.0.113.9")])
    assert behind.scope["scheme"] == scheme


@pytest.mark.parametrize(
    ("addresses", "schemes", "scheme"),
    [
        # Both proxies append. The outer one saw TLS.
        ("203.0.113.9, 10.0.0.2", "https, http", "https"),
        ("203.0.113.9, 10.0.0.2", "http, https, http", "https"),
        # The inner proxy replaces the header, or passes it on.
        ("203.0.113.9, 10.0.0.2", "https", "https"),
        # The outer proxy appends nothing, so the first value may come from the client.
        ("203.0.113.9", "https, http", "http"),
        # Every address is that of a trusted proxy.
        ("10.0.0.3, 10.0.0.2", "https, http", "https"),
        ("", "http, https", "https"),
    ],
)
async def test_with_several_proxies_the_scheme_is_the_client_s(
    addresses: str, schemes: str, scheme: str
) -> None:
    behind = Behind("10.0.0.0/8")
    await behind.asked(PROXY, [("X-Forwarded-For", addresses), ("X-Forwarded-Proto", schemes)])
    assert behind.scope["scheme"] == scheme


async def test_a_websocket_has_a_scheme_of_its_own() -> None:
    behind = Behind(PROXY)
    await behind.asked(PROXY, [("X-Forwarded-Proto", "https")], kind="websocket")
    assert behind.scope["scheme"] == "wss"


async def test_a_lifespan_has_no_client() -> None:
    behind = Behind(PROXY)
    await behind.asked(None, [("X-Forwarded-For", "203.0.113.9")], kind="lifespan")
    assert behind.client is None


async def test_addresses_are_normalized_without_any_proxy() -> None:
    behind = Behind()
    spelled = [
        (await behind.asked(peer, [])).client
        for peer in ("::ffff:127.0.0.1", "2001:DB8:0::1", "fe80::1%eth0", "testclient", None)
    ]
    assert spelled == ["127.0.0.1", "2001:db8::1", "fe80::1", "testclient", None]


async def test_an_untrusted_proxy_is_reported_once() -> None:
    behind = Behind("192.0.2.1")
    with capture_logs() as events:
        for peer in ("::ffff:172.17.0.1", "172.17.0.1", "198.51.100.1"):
            lines = [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https")]
            await behind.asked(peer, lines)
        await behind.asked("192.0.2.1", [("X-Forwarded-For", "203.0.113.9")])
        await behind.asked("198.51.100.1", [])

    assert events == [
        {
            "event": "forwarded_header_ignored",
            "log_level": "warning",
            "peer": "172.17.0.1",
            "headers": "x-forwarded-for, x-forwarded-proto",
            "remedy": "if this is your proxy, add its address to TRUSTED_PROXIES",
        }
    ]


async def test_an_untrusted_peer_on_a_unix_socket_is_reported() -> None:
    behind = Behind()
    with capture_logs() as events:
        await behind.asked(None, [("X-Forwarded-For", "203.0.113.9")])
    assert [event["peer"] for event in events] == ["a unix socket"]


async def test_a_proxy_that_sends_another_header_is_reported() -> None:
    """The `Forwarded` header of RFC 7239 is not read: most proxies pass on the client's own."""
    behind = Behind(PROXY)
    with capture_logs() as events:
        for _ in range(2):
            await behind.asked(PROXY, [("Forwarded", "for=203.0.113.9;proto=https")])

    assert (behind.client, behind.scope["scheme"]) == (PROXY, "http")
    assert [event["headers"] for event in events] == ["forwarded"]
    assert "X-Forwarded-For" in events[0]["remedy"]


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("::ffff:10.0.0.1", "10.0.0.1/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("fd00::1/8", "fd00::/8"),
    ],
)
def test_networks_are_normalized(text: str, network: str) -> None:
    assert str(parse_network(text)) == network


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:DB8::0", "2001:db8::"),
        ("a client", "a client"),
    ],
)
def test_malformed_requests_are_logged_with_a_normalized_address(text: str, address: str) -> None:
    with capture_logs() as events:
        Refusals([], credentials=False)(Refusal(HTTPStatus.BAD_REQUEST, text, []))
    assert [event["client"] for event in events] == [address]


# The headers that each platform sends according to its documentation: TRUSTED_PROXIES, the peer,
# and both headers. Where the platform appends, the client sent a header of its own.
PLATFORMS: Final = {
    "nginx, same host": ("127.0.0.1", "127.0.0.1", ["198.51.100.1, 203.0.113.9"], "https"),
    "HAProxy, a line of its own": ("::1", "::1", ["198.51.100.1", "203.0.113.9"], "https"),
    "Docker, published port": ("172.31.250.1", "172.31.250.1", ["203.0.113.9"], "https"),
    "Docker, proxy in a container": ("172.16.0.0/12", "172.18.0.5", ["203.0.113.9"], "https"),
    "Kubernetes, ingress-nginx": ("10.244.0.0/16", "10.244.3.17", ["203.0.113.9"], "https"),
    "Kubernetes, dual-stack": (
        "10.244.0.0/16",
        "::ffff:10.244.3.17",
        ["203.0.113.9"],
        "https",
    ),
    "Kubernetes, two ingresses": (
        *("10.244.0.0/16", "10.244.3.17", ["203.0.113.9, 10.244.0.8"], "https, http"),
    ),
    "AWS ALB": ("10.0.0.0/16", "10.0.1.23", ["198.51.100.1, 203.0.113.9"], "https"),
    "AWS ALB, with client ports": ("10.0.0.0/16", "10.0.1.23", ["203.0.113.9:41234"], "https"),
    "CloudFront before an ALB": (
        *("10.0.0.0/16,130.176.0.0/16", "10.0.1.23", ["203.0.113.9, 130.176.9.9"], "https"),
    ),
    "Azure, with client ports": ("169.254.0.0/16", "169.254.129.1", ["203.0.113.9:41234"], "https"),
    "Heroku, Render": ("10.0.0.0/8", "10.1.23.45", ["198.51.100.1, 203.0.113.9"], "https"),
    "Railway": ("100.64.0.0/10", "100.64.0.3", ["203.0.113.9"], "https"),
    "Cloud Run": ("169.254.0.0/16", "169.254.169.126", ["198.51.100.1,203.0.113.9"], "https"),
    "Google load balancer": (
        *("35.191.0.0/16,34.1.2.3", "35.191.0.7", ["198.51.100.1, 203.0.113.9, 34.1.2.3"], "https"),
    ),
    "Cloudflare before nginx": (
        *("127.0.0.1,173.245.48.0/20", "127.0.0.1", ["203.0.113.9, 173.245.48.7"], "https"),
    ),
    "Fly.io": (
        *("172.16.0.0/12,66.241.124.5", "172.16.5.2", ["203.0.113.9, 66.241.124.5"], "https"),
    ),
}


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_the_headers_of_a_platform_name_the_client(platform: str) -> None:
    trusted, peer, addresses, scheme = PLATFORMS[platform]
    behind = Behind(*trusted.split(","))
    lines = [("X-Forwarded-For", each) for each in addresses]

    await behind.asked(peer, [*lines, ("X-Forwarded-Proto", scheme)])

    assert (behind.client, behind.scope["scheme"]) == ("203.0.113.9", "https")
