"""Descriptions of a device: words of our own, whatever the client sends."""

import pytest

from mscr.core.client import Client
from mscr.core.device import Device, describe_address, describe_program

APPLE = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
CHROMIUM = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
ANDROID = "Mozilla/5.0 (Linux; Android 16; K)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X)"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"


@pytest.mark.parametrize(
    ("user_agent", "described"),
    [
        (f"{WINDOWS} {CHROMIUM} Safari/537.36", "Chrome on Windows"),
        (f"{WINDOWS} {CHROMIUM} Safari/537.36 Edg/150.0.0.0", "Edge on Windows"),
        (f"{WINDOWS} {CHROMIUM} Safari/537.36 OPR/130.0.0.0", "Opera on Windows"),
        (f"{ANDROID} {CHROMIUM} Mobile Safari/537.36", "Chrome on Android"),
        (f"{ANDROID} SamsungBrowser/29 {CHROMIUM}", "Samsung Internet on Android"),
        (f"{ANDROID} {CHROMIUM} Mobile Safari/537.36 EdgA/150.0.0.0", "Edge on Android"),
        (f"{IPHONE} {APPLE} Version/19.0 Mobile/15E148 Safari/604.1", "Safari on iOS"),
        (f"{IPHONE} {APPLE} CriOS/150.0 Mobile/15E148 Safari/604.1", "Chrome on iOS"),
        (f"{IPHONE} {APPLE} FxiOS/152.0 Mobile/15E148 Safari/605.1.15", "Firefox on iOS"),
        (f"{MAC} {APPLE} Version/19.0 Safari/605.1.15", "Safari on macOS"),
        ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) " + CHROMIUM, "Chrome on ChromeOS"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:152.0) Firefox/152.0", "Firefox on Linux"),
        ("curl/8.15.0", "unknown program on unknown system"),
        ("", "unknown program on unknown system"),
        (None, "unknown program on unknown system"),
    ],
)
def test_programs_are_described_by_family(user_agent: str | None, described: str) -> None:
    assert describe_program(user_agent) == described


@pytest.mark.parametrize(
    ("text", "described"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:0DB8::1", "2001:db8::1"),
        ("fe80::1%evil.example", "fe80::1"),
        ("evil.example", "an unknown address"),
        ("unknown", "an unknown address"),
    ],
)
def test_only_an_address_is_repeated(text: str, described: str) -> None:
    assert describe_address(text) == described


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7", "203.0.9.9", True),
        ("203.0.113.7", "::ffff:203.0.9.9", True),
        ("203.0.113.7", "203.1.113.7", False),
        ("2001:db8:1::1", "2001:db8:2::1", True),
        ("2001:db8::1", "2001:db9::1", False),
        ("unknown", "unknown", True),
        ("unknown", "203.0.113.7", False),
    ],
)
def test_a_device_stays_the_same_in_the_network_of_its_provider(
    one: str, other: str, same: bool
) -> None:
    first, second = (Device.of(Client.of(address, "curl/8")) for address in (one, other))

    assert (first == second) is same
