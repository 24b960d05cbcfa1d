"""`.env.example` and `openapi.json` are those of the application, whatever is configured."""

import os
import subprocess
import sys

import pytest

from app.core.config import PROJECT_ROOT, Settings
from app.project import project
from mscr.cli import env_example, openapi

CONFIGURED = {
    "SECRET_KEY": "",
    "DATABASE_URL": "nonsense",
    "app_name": "Mine",
    "JWT_ISSUER_FILE": "/no/such/file",
    "REFRESH_TOKEN_TRANSPORT": "cookie",
}
COMMANDS = ("env-example", "openapi")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "cli.py", *arguments]
    outside = {name: os.environ[name] for name in os.environ if name not in Settings.model_fields}
    return subprocess.run(  # noqa: S603 - the project's own command
        command,
        cwd=PROJECT_ROOT,
        env={**outside, **CONFIGURED},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_example_is_up_to_date() -> None:
    written = (PROJECT_ROOT / ".env.example").read_text()
    assert written == env_example.render(Settings), (
        "out of date; run: python cli.py env-example --write"
    )


def test_the_document_is_up_to_date() -> None:
    written = (PROJECT_ROOT / "openapi.json").read_text()
    assert written == openapi.render(openapi.default_document(project)), (
        "out of date; run: python cli.py openapi --write"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_a_written_file_is_accepted_whatever_is_configured(command: str) -> None:
    checked = run(command, "--check")

    assert checked.returncode == 0, checked.stderr


def test_the_document_has_the_defaults_whatever_is_configured() -> None:
    assert run("openapi").stdout == (PROJECT_ROOT / "openapi.json").read_text()
