"""The server under test: the application, served as in production, on its own database."""

import http.client
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, select, table

from benchmarks.client import HOST
from benchmarks.database import connected
from benchmarks.machine import Cores
from mscr.testing.scratch import Account, ScratchDirectory

ROOT = Path(__file__).resolve().parents[1]
START_TIMEOUT = timedelta(seconds=60)
STOP_TIMEOUT = timedelta(seconds=30)
POLL_INTERVAL = timedelta(milliseconds=20)

# As in production, except for the rate limits, which would refuse the load. Other settings come
# from the environment, or have their defaults: PASSWORD_HASH_THREADS=2 make bench ARGS=storm
SETTINGS = {
    "ENV_FILE": os.devnull,
    "ENVIRONMENT": "test",  # production does not start without limits
    "LOG_JSON": "true",
    "ACCESS_LOG": "false",
    "DOCS_ENABLED": "false",
    "RATE_LIMIT_ENABLED": "false",
    "WEB_CONCURRENCY": "1",
    "HOST": HOST,
}


# Measure the catalogue: it has all that the kit offers.
SERVE = ("examples.catalogue", "serve")
ALEMBIC = "examples/catalogue/alembic.ini"


@dataclass(frozen=True)
class Stage:
    cores: Cores
    environment: Mapping[str, str]
    process_id: int
    port: int
    seconds_to_start: float

    async def count_rows(self, name: str) -> int:
        async with connected(self.environment["DATABASE_URL"]) as connection:
            statement = select(func.count()).select_from(table(name))
            return int((await connection.execute(statement)).scalar_one())


def environment_for(database_url: str) -> dict[str, str]:
    keys = {name: secrets.token_urlsafe(48) for name in ("SECRET_KEY", "JWT_SECRET_KEY")}
    return {**os.environ, **SETTINGS, **keys, "DATABASE_URL": database_url}


def migrate(database_url: str) -> None:
    command = [sys.executable, "-m", "alembic", "-c", ALEMBIC, "upgrade", "head"]
    environment = environment_for(database_url)
    done = subprocess.run(
        command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"the database could not be migrated:\n{done.stdout}{done.stderr}")


@contextmanager
def served(
    cores: Cores,
    database_url: str,
    module: Sequence[str] = SERVE,
    beside: Stage | None = None,
    **settings: str,
) -> Iterator[Stage]:
    """Start `python -m module` on the server's core and a free port, and wait until it is ready.

    With `beside`, it gets the environment of that stage: the same secrets and database, so that
    both accept the same tokens.
    """
    port = _free_port()
    environment = dict(beside.environment) if beside else environment_for(database_url)
    environment |= {"PORT": str(port), "UVICORN_PORT": str(port), **settings}
    scratch = ScratchDirectory("bench", Account())
    log = scratch.path / "server.log"
    try:
        started = time.monotonic()
        process = _start([sys.executable, "-m", *module], environment, log)
        # The guard ends the server even if this process is killed.
        scratch.guard(process.pid)
        cores.give_server_core(process.pid)
        try:
            _wait_until_ready(process, port, log)
            yield Stage(cores, environment, process.pid, port, time.monotonic() - started)
        finally:
            _stop(process)
            scratch.guard(None)
    finally:
        scratch.remove()


def _start(
    command: list[str], environment: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C reaches this process only, which stops the server
        )


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT.total_seconds()
    while not _is_ready(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')}")
        time.sleep(POLL_INTERVAL.total_seconds())


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT.total_seconds())
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
