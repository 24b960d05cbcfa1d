"""Run a command with a new PostgreSQL, whose data is removed when the command ends.

`python -m mscr.testing.with_postgres make run`
"""

import asyncio
import os
import secrets
import shlex
import signal
import subprocess
import sys
from typing import Final

from mscr.testing.postgres import PostgresServer

USAGE: Final = "name a command: python -m mscr.testing.with_postgres make run"


def main(command: list[str]) -> int:
    # Ignore Ctrl-C and wait: the command gets it from the terminal, too.
    signal.signal(signal.SIGINT, lambda *_: None)
    with PostgresServer() as server:
        # The server of TEST_POSTGRES_URL may have other databases.
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
        sys.exit(USAGE)
    sys.exit(main(sys.argv[1:]))
