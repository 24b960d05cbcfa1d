"""The application under a path prefix of a real HAProxy, which also checks its health."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx2
import pytest

from mscr.testing.api import PASSWORD
from mscr.testing.processes import free_port
from mscr.tests.deploy.haproxy import HAProxy
from mscr.tests.support.command_line import Cli
from mscr.tests.support.serving import Serving, clients_in

pytestmark = pytest.mark.long

CLIENT: Final = "127.0.0.9"
# `option forwardfor` adds a header line. The health check is HTTP/1.0, without a Host header.
CONFIGURATION: Final = """\
defaults
    mode http
    timeout connect 2s
    timeout check 30s
    timeout client 60s
    timeout server 60s
frontend clients
    bind 127.0.0.1:{port}
    option forwardfor
    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
    use_backend app if {{ path_beg /svc/ }}
backend app
    http-request replace-path /svc(/.*) \\1
    option httpchk GET /health/ready
    server one 127.0.0.1:{upstream} check inter 200ms
"""


@pytest.fixture(scope="module")
def serving(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Iterator[tuple[httpx2.Client, Serving]]:
    cli = Cli.migrated(tmp_path_factory.mktemp("haproxy"), sqlite_template)
    port, upstream = free_port(), free_port()
    configuration = CONFIGURATION.format(port=port, upstream=upstream)
    settings = {"ROOT_PATH": "/svc", "TRUSTED_PROXIES": "127.0.0.1", "LOG_JSON": "true"}
    settings |= {"PORT": str(upstream), "ALLOWED_HOSTS": "127.0.0.1"}
    transport = httpx2.HTTPTransport(local_address=CLIENT)
    url = f"http://127.0.0.1:{port}"
    with (
        Serving(cli, "serve", port=upstream, **settings) as served,
        HAProxy(configuration, port=port),
        httpx2.Client(base_url=url, trust_env=False, transport=transport) as client,
    ):
        served.wait_until(lambda: '"/svc/health/ready"' in served.output)
        yield client, served


def test_location_leads_back_through_haproxy(serving: tuple[httpx2.Client, Serving]) -> None:
    client, _ = serving
    body = {"email": "ada@example.com", "password": PASSWORD}
    tokens = client.post("/svc/api/v1/auth/register", json=body).json()["data"]
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    created = client.post("/svc/api/v1/items", json={"title": "A thing"}, headers=headers)

    assert client.get(created.headers["location"], headers=headers).status_code == 200


def test_the_client_is_the_one_that_haproxy_saw(serving: tuple[httpx2.Client, Serving]) -> None:
    client, served = serving
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Request-ID": "forwarded-one"}

    assert client.get("/svc/docs", headers=forged).status_code == 200
    served.wait_until(lambda: "forwarded-one" in served.output)
    assert clients_in(served.output) == [CLIENT]


def test_the_health_check_of_haproxy_needs_no_host(serving: tuple[httpx2.Client, Serving]) -> None:
    """If it were refused, HAProxy would take the application out of service."""
    client, served = serving
    served.wait_until(lambda: served.output.count('"/svc/health/ready"') > 3)

    assert client.get("/svc/health/live").status_code == 200
    assert '"status":200' in served.output
    assert '"status":400' not in served.output
