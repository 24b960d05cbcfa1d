"""Runs a command with a PostgreSQL of its own, whose data goes when the command ends.

`python -m tests.support.with_postgres make run`
"""

import asyncio
import os
import secrets
import shlex
import signal
import subprocess
import sys

from tests.support.postgres import PostgresServer


def main(command: list[str]) -> int:
    # Ctrl-C is for the command, which gets it from the terminal too: we wait for its end.
    signal.signal(signal.SIGINT, lambda *_: None)
    with PostgresServer() as server:
        # A server of TEST_POSTGRES_URL may have other databases.
        name = f"borrowed_{secrets.token_hex(4)}"
        asyncio.run(server.create_database(name))
        url = server.url(name)
        print(f"export DATABASE_URL={shlex.quote(url)}", file=sys.stderr, flush=True)  # noqa: T201  # a command
        try:
            environment = os.environ | {"DATABASE_URL": url}
            return subprocess.run(command, env=environment, check=False).returncode
        finally:
            asyncio.run(server.drop_database(name))


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.exit("name a command: python -m tests.support.with_postgres make run")
    sys.exit(main(sys.argv[1:]))
