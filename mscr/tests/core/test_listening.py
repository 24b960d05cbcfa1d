"""Listening sockets for a host and a port."""

import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import pytest

from mscr.server.listening import ListenError, bind_sockets, urls_of

LOOPBACKS: Final = ("127.0.0.1", "::1")
Resolve = Callable[..., list[Any]]


@contextmanager
def bound(host: str, port: int = 0) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        yield [stack.enter_context(each) for each in bind_sockets(host, port)]


def accepts(listener: socket.socket, host: str) -> bool:
    listener.listen()
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as client:
        return client.connect_ex((host, listener.getsockname()[1])) == 0


@pytest.mark.parametrize("host", ["::", "[::]", "0:0::0"])
def test_the_unspecified_ipv6_address_listens_on_both_families(host: str) -> None:
    with bound(host) as [listener]:
        assert [accepts(listener, each) for each in LOOPBACKS] == [True, True]


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1", "::1", "[::1]"])  # noqa: S104 - closed at once
def test_any_other_address_listens_on_its_own_family(host: str) -> None:
    family = "::1" if ":" in host else "127.0.0.1"
    with bound(host) as [listener]:
        assert [each for each in LOOPBACKS if accepts(listener, each)] == [family]


def test_urls_name_the_port_that_was_chosen() -> None:
    with bound("::1") as sockets, bound("127.0.0.1") as others:
        ports = [each.getsockname()[1] for each in (*sockets, *others)]
        assert urls_of([*sockets, *others]) == [
            f"http://[::1]:{ports[0]}",
            f"http://127.0.0.1:{ports[1]}",
        ]


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, list[str]], None]:
    """Make a name resolve to several addresses, as localhost does where /etc/hosts has both."""
    real: Resolve = socket.getaddrinfo

    def resolve_to(name: str, addresses: list[str]) -> None:
        def resolve(host: str, port: int, **options: Any) -> list[Any]:
            hosts = addresses if host == name else [host]
            return [found for each in hosts for found in real(each, port, **options)]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)

    return resolve_to


@pytest.mark.parametrize("addresses", [["127.0.0.1", "::1"], ["192.0.2.1", "::1", "127.0.0.1"]])
def test_a_name_listens_on_all_its_local_addresses(
    resolved: Callable[[str, list[str]], None], addresses: list[str]
) -> None:
    resolved("both", addresses)
    with bound("both") as sockets:
        names = [each.getsockname() for each in sockets]

    assert [name[0] for name in names] == [each for each in addresses if each in LOOPBACKS]
    assert len({name[1] for name in names}) == 1


def test_a_taken_port_on_one_address_leaves_none_bound(
    resolved: Callable[[str, list[str]], None],
) -> None:
    resolved("both", ["127.0.0.1", "::1"])
    with bound("::1") as [taken]:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=f"port {port} of both is taken"):
            bind_sockets("both", port)
        with bound("127.0.0.1", port):
            pass


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(ListenError, match="no network interface of this machine"):
        bind_sockets(host, 0)


@pytest.mark.parametrize("host", ["a..b", "x" * 70, "a\0b"])
def test_an_invalid_host_name_is_refused(host: str) -> None:
    with pytest.raises(ListenError, match="is neither an address nor a known name; set HOST"):
        bind_sockets(host, 0)


@pytest.mark.parametrize("host", ["http://127.0.0.1", "no-such-host", "127.0.0.1:80"])
def test_an_unknown_host_name_is_refused(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """The fake resolver avoids a real DNS query."""

    def resolve(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(ListenError, match="is neither an address nor a known name; set HOST"):
        bind_sockets(host, 0)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "may not listen on port 80 of 127.0.0.1; choose a port above 1023"),
        (errno.EPERM, "may not listen on port 80 of 127.0.0.1; choose a port above 1023"),
        (errno.EAFNOSUPPORT, "this machine has no IPv6"),
        (errno.ENOBUFS, "cannot listen on port 80 of 127.0.0.1: No buffer space"),
    ],
)
def test_each_error_of_the_system_has_its_remedy(
    monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    """A fake, because the tests may run as root, and on a machine with IPv6."""

    def refuse(_: socket.socket, __: Any) -> None:
        raise OSError(number, "No buffer space")

    class Refusing(socket.socket):
        bind = refuse

    monkeypatch.setattr(socket, "socket", Refusing)
    with pytest.raises(ListenError, match=words):
        bind_sockets("127.0.0.1", 80)
