"""A real nginx in front of the application, configured by the test."""

from __future__ import annotations

import os
import pwd
import socket
from typing import Final

from mscr.testing.scratch import Account
from mscr.testing.server import Server, ServerError
from mscr.tests.deploy.programs import require

# Paths are relative to the scratch directory, which the worker may write to.
CONFIGURATION: Final = """\
worker_processes 1;
pid nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path temp_body;
    proxy_temp_path temp_proxy;
    fastcgi_temp_path temp_fastcgi;
    uwsgi_temp_path temp_uwsgi;
    scgi_temp_path temp_scgi;
{http}
}}
"""


class Nginx(Server):
    """nginx on a port of the loopback interface.

    `http` is the content of its `http` block, including `server`. The test is skipped where nginx
    is not installed.
    """

    # Never an external server: its configuration is under test.
    variable = "TEST_NGINX_IS_NEVER_EXTERNAL"

    def __init__(self, http: str, *, port: int) -> None:
        super().__init__()
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._http = http

    def prepare(self) -> None:
        self._program = require("nginx")
        # If root starts nginx, its workers run as another user, who may not enter the directory.
        self.account = unprivileged()
        self.open_scratch()
        configuration = self.scratch.path / "nginx.conf"
        configuration.write_text(CONFIGURATION.format(http=self._http))
        self.account.take(self.scratch.path)

    def command(self) -> list[str]:
        place = ["-p", f"{self.scratch.path}/", "-c", "nginx.conf", "-e", "stderr"]
        return [str(self._program), *place, "-g", "daemon off;"]

    def is_ready(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def error(self, reason: str) -> ServerError:
        return ServerError(f"nginx: {reason}")


def unprivileged() -> Account:
    """Return the user `nobody` when running as root, otherwise the current user."""
    if os.geteuid() != 0:
        return Account()
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid, ())
