"""README.md, docs/commands.md, and the start without containers in deploy/README.md.

Run every block of commands in a copy of the project, as a newcomer would.
"""

import json
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.config import PROJECT_ROOT
from tests.docs.markdown import code_blocks
from tests.docs.project_copy import ProjectCopy, interrupt, wait_until_it_answers


def commands_of(page: str) -> list[str]:
    return [each.code for each in code_blocks(PROJECT_ROOT / page) if each.language == "bash"]


RUN, TEST, FIRST_REQUEST, *EXAMPLE = commands_of("README.md")
[COMMANDS] = commands_of("docs/commands.md")
[PRODUCTION] = commands_of("deploy/README.md")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    return ProjectCopy(tmp_path_factory.mktemp("readme") / "project", PROJECT_ROOT)


@pytest.fixture(scope="module")
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def running(project: ProjectCopy, port: int) -> Iterator[ProjectCopy]:
    """Start the application with `make run` on a free port."""
    process = project.start(f"exec {RUN.strip()} PORT={port}")
    try:
        wait_until_it_answers(process, port)
        yield project
    finally:
        interrupt(process)


def test_the_first_request_works_as_pasted(running: ProjectCopy, port: int) -> None:
    script = "".join((FIRST_REQUEST, *EXAMPLE))
    output = running.run(script.replace("127.0.0.1:8000", f"127.0.0.1:{port}"))

    decoder, answers, rest = json.JSONDecoder(), [], output.strip()
    while rest:
        answer, end = decoder.raw_decode(rest)
        answers.append(answer)
        rest = rest[end:].strip()
    registered, me, *of_items = answers
    assert registered["data"]["token_type"] == "bearer"
    assert me["data"]["email"] == "ada@example.com"
    # The page shows requests for items as long as the example is there.
    assert len(of_items) == 2 * len(EXAMPLE)
    for created, listed in zip(of_items[::2], of_items[1::2], strict=True):
        assert created["data"]["title"] == "Buy milk"
        assert created["data"] in listed["data"]


def test_the_commands_work_as_pasted(running: ProjectCopy) -> None:
    output = running.run(COMMANDS)

    assert "ada@example.com" in output or "admin@example.com" in output
    assert "/api/v1/users/me" in output


def test_the_command_for_the_tests_is_what_ci_runs() -> None:
    ci = (PROJECT_ROOT / ".ci" / "run").read_text().splitlines()

    assert f"timed {TEST.strip()}" in ci


def test_production_starts_from_the_runtime_lock_alone(tmp_path: Path) -> None:
    copy = ProjectCopy(tmp_path / "project", PROJECT_ROOT)
    (copy.path / ".venv").unlink()
    copy.run(f"{sys.executable} -m venv --without-pip .venv")
    _use_uv_as_pip(copy)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])

    process = copy.start(
        PRODUCTION.replace("python cli.py serve", "exec python cli.py serve"),
        ENVIRONMENT="production",
        UV_SYSTEM_CERTS="true",  # as in the Makefile
        PORT=str(port),
        DATABASE_URL="sqlite:///./production.db",
        SECRET_KEY="0123456789abcdefghijklmnopqrstuvwxyz",
        JWT_SECRET_KEY="zyxwvutsrqponmlkjihgfedcba9876543210",
    )
    try:
        wait_until_it_answers(process, port)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


def _use_uv_as_pip(copy: ProjectCopy) -> None:
    # uv installs the same lock with the same hashes from its cache; pip would take half a minute.
    pip = copy.path / ".venv" / "bin" / "pip"
    pip.write_text('#!/bin/sh\nexec "$PWD/.tools/bin/uv" pip "$@" --python .venv --quiet\n')
    pip.chmod(0o755)
