"""The application on a Unix socket, started by uvicorn's own command, behind nginx."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx2
import pytest

from mscr.testing.processes import free_port
from mscr.tests.deploy.nginx import Nginx
from mscr.tests.support.command_line import Cli
from mscr.tests.support.paths import REPOSITORY
from mscr.tests.support.serving import clients_in

START_TIMEOUT_SECONDS: Final = 60
SOCKET: Final = "app.sock"
CLIENT: Final = "127.0.0.9"
SERVER: Final = """
server {{
    listen 127.0.0.1:{port};
    location /svc/ {{
        proxy_pass http://unix:{socket};
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
    }}
}}
"""


@pytest.mark.long
def test_a_proxy_on_a_unix_socket_is_trusted_as_unix(tmp_path: Path, sqlite_template: Path) -> None:
    """ROOT_PATH too is in force under any server."""
    cli = Cli.migrated(tmp_path, sqlite_template)
    port, log = free_port(), tmp_path / "uvicorn.log"
    # Relative to nginx's working directory, its scratch directory.
    nginx = Nginx(SERVER.format(port=port, socket=SOCKET), port=port)
    settings = {"ROOT_PATH": "/svc", "TRUSTED_PROXIES": "unix", "LOG_JSON": "true"}
    with nginx, log.open("wb") as output:
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            "examples.catalogue.main:app",
            "--no-access-log",
        ]
        with subprocess.Popen(  # noqa: S603 - the test's own command
            [*command, "--no-proxy-headers", "--uds", str(nginx.scratch.path / SOCKET)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=REPOSITORY,
            env=cli.environment(**settings),
        ) as process:
            try:
                page = wait_for(lambda: asked(f"{nginx.url}/svc/docs"), process)
            finally:
                process.terminate()

    lines = [line for line in log.read_text().splitlines() if line.startswith("{")]
    assert set(clients_in("\n".join(lines))) == {CLIENT}
    assert "/svc/docs-assets/" in page.text


def asked(url: str) -> httpx2.Response:
    transport = httpx2.HTTPTransport(local_address=CLIENT)
    with httpx2.Client(transport=transport, trust_env=False) as client:
        forged = {"X-Forwarded-For": "203.0.113.9", "X-Request-ID": "forwarded-one"}
        return client.get(url, headers=forged)


def wait_for(
    answer: Callable[[], httpx2.Response], process: subprocess.Popen[bytes]
) -> httpx2.Response:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while not (response := answer()).is_success:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return response
