"""Python commands in separate processes that start fast.

They are forked from a process that has loaded the libraries: loading takes most of the time of a
short command. That process does not load the application: each command reads its own settings.
"""

import gc
import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.forkserver import ensure_running
from multiprocessing.process import BaseProcess
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory
from typing import Final

import coverage

LIBRARIES: Final = [
    "aiosqlite",
    "alembic.autogenerate",
    "alembic.command",
    "argon2",
    "asyncpg",
    "coverage",
    "cryptography.fernet",
    "email_validator",
    "fastapi",
    "jwt",
    "limits.aio.storage",
    "pydantic_settings",
    "redis.asyncio",
    "rich.progress",
    "rich.table",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "sqlalchemy.ext.asyncio",
    "structlog",
    "typer.main",
    "uvicorn.protocols.http.httptools_impl",
    __name__,
]
SPAWNED: Final = multiprocessing.get_context("spawn")
FORKED: Final = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(LIBRARIES)
# Windows has no fork: there, each process loads everything itself.
CONTEXT: SpawnContext | ForkServerContext = SPAWNED if sys.platform == "win32" else FORKED

# Standard input, standard output and standard error, as files.
Streams = tuple[Path, Path, Path]
NAMES: Final = ("stdin", "stdout", "stderr")


def start(
    command: Sequence[str], environment: Mapping[str, str], *, cwd: Path, streams: Streams
) -> BaseProcess:
    """Start `[python, "-m", module, ...]` or `[python, script, ...]`."""
    if CONTEXT is FORKED:
        _start_server()
    process = CONTEXT.Process(target=_run, args=(command[1:], dict(environment), cwd, streams))
    process.start()
    return process


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    cwd: Path,
    given: bytes = b"",
    timeout: float,
) -> CompletedProcess[bytes]:
    """Return what `subprocess.run` would. Raises `TimeoutError` after so many seconds."""
    with TemporaryDirectory() as folder:
        stdin, stdout, stderr = (Path(folder, name) for name in NAMES)
        stdin.write_bytes(given)
        process = start(command, environment, cwd=cwd, streams=(stdin, stdout, stderr))
        process.join(timeout)
        status = process.exitcode
        if status is None:
            process.kill()
            raise TimeoutError(command)
        return CompletedProcess(command, status, stdout.read_bytes(), stderr.read_bytes())


def _start_server() -> None:
    """Start the process to fork from, unmeasured: it ends after coverage has been combined."""
    measuring = {k: os.environ.pop(k) for k in list(os.environ) if k.startswith("COVERAGE_")}
    ensure_running()
    os.environ.update(measuring)


def _run(arguments: list[str], environment: dict[str, str], cwd: Path, streams: Streams) -> None:
    # Otherwise each garbage collection would touch, and so copy, the shared memory (copy-on-write).
    gc.freeze()
    os.environ.clear()
    os.environ.update(environment)
    coverage.process_startup()
    _execute(arguments, cwd, streams)


def _execute(arguments: list[str], cwd: Path, streams: Streams) -> None:
    """Run the command in its own function: coverage measures only functions entered later."""
    os.chdir(cwd)
    for number, (name, mode, file) in enumerate(zip(NAMES, "raa", streams, strict=True)):
        errors = getattr(sys, f"__{name}__").errors
        with file.open(mode) as opened:
            os.dup2(opened.fileno(), number)
        setattr(sys, name, os.fdopen(number, mode, errors=errors, closefd=False))
    is_module = arguments[0] == "-m"
    sys.path.insert(0, str(cwd if is_module else Path(arguments[0]).parent))
    if is_module:
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")
