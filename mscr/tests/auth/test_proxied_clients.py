"""LG6: the client address by which a served application counts attempts."""

from pathlib import Path

import httpx2
import pytest

from mscr.testing.applications import new_address
from mscr.tests.support.command_line import Cli
from mscr.tests.support.serving import Serving, serving

GUESS = {"email": "nobody@example.com", "password": "a guess"}


@pytest.fixture
def cli(tmp_path: Path, sqlite_template: Path) -> Cli:
    return Cli.migrated(tmp_path, sqlite_template)


def test_an_untrusted_client_cannot_forge_its_address(cli: Cli) -> None:
    """LG6: not even from the loopback address, which servers often trust by default."""
    with serving(cli, RATE_LIMIT_ENABLED="true", TRUSTED_PROXIES="") as server:
        statuses = [guess(server, forwarded_for=new_address()) for _ in range(6)]

    assert statuses == [401, 401, 401, 401, 401, 429]


def test_a_client_behind_a_trusted_proxy_is_counted_by_the_proxys_entry(cli: Cli) -> None:
    """LG6: the addresses to its left, which the client can forge, do not count."""
    client, other = new_address(), new_address()
    # A network written with host bits set.
    with serving(cli, RATE_LIMIT_ENABLED="true", TRUSTED_PROXIES="127.0.0.1/8") as server:
        statuses = [guess(server, forwarded_for=f"{new_address()}, {client}") for _ in range(6)]
        status_of_other = guess(server, forwarded_for=other)

    assert statuses == [401, 401, 401, 401, 401, 429]
    assert status_of_other == 401


def guess(server: Serving, *, forwarded_for: str) -> int:
    headers = {"X-Forwarded-For": forwarded_for}
    url = f"{server.url}/api/v1/auth/login"
    return httpx2.post(url, json=GUESS, headers=headers, trust_env=False).status_code
