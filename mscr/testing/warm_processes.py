"""Python commands in processes of their own that start fast.

They are forked from a process that has loaded the libraries, which takes most of the time of a
short command. Nothing of the application is loaded in it: each command reads its own settings.
"""

import gc
import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
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
if sys.platform == "win32":
    # Nothing can be forked: each process loads everything itself.
    CONTEXT: Final = multiprocessing.get_context("spawn")
else:
    CONTEXT: Final = multiprocessing.get_context("forkserver")
    CONTEXT.set_forkserver_preload(LIBRARIES)

# Standard input, standard output and standard error, as files.
Streams = tuple[Path, Path, Path]
NAMES: Final = ("stdin", "stdout", "stderr")


def start(
    command: Sequence[str], environment: Mapping[str, str], *, cwd: Path, streams: Streams
) -> BaseProcess:
    """Start `[python, "-m", module, ...]` or `[python, script, ...]`."""
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
    """What `subprocess.run` gives for the same. Raises `TimeoutError` after so many seconds."""
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
    """The process to fork from. It ends after coverage was summed up, so it takes no part."""
    if sys.platform != "win32":
        measuring = {k: os.environ.pop(k) for k in list(os.environ) if k.startswith("COVERAGE_")}
        ensure_running()
        os.environ.update(measuring)


def _run(arguments: list[str], environment: dict[str, str], cwd: Path, streams: Streams) -> None:
    # Or each collection would walk, and so copy, what all these processes share.
    gc.freeze()
    os.environ.clear()
    os.environ.update(environment)
    coverage.process_startup()
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
