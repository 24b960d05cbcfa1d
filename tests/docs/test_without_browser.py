"""`make e2e` without a browser or Node.js, and the other tests, which need neither."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.core.config import PROJECT_ROOT


def run_pytest(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest with only this folder on the PATH."""
    # Leave coverage off in the child process: it would double the time.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
    environment = {**inherited, "PATH": str(path)}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(
        command,
        cwd=PROJECT_ROOT,
        env=environment,
        text=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


def put_program(folder: Path, name: str) -> None:
    program = folder / name
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("installed", "missing"),
    [
        ([], "chromium and chromedriver not found"),
        (["google-chrome"], "chromedriver not found"),
        (["chromedriver"], "chromium not found"),
    ],
)
def test_the_browser_tests_name_the_missing_programs(
    tmp_path: Path, installed: list[str], missing: str
) -> None:
    for name in installed:
        put_program(tmp_path, name)

    finished = run_pytest(tmp_path, "mscr/tests/e2e")

    told = finished.stdout + finished.stderr
    assert finished.returncode not in {0, 5}, told
    assert f"ERROR: {missing}: these tests need a browser and its driver." in told
    assert "apt-get install chromium chromium-driver" in told


def test_the_typescript_tests_fail_if_npm_is_missing(tmp_path: Path) -> None:
    for name in ("chromium", "chromedriver", "node"):
        put_program(tmp_path, name)

    finished = run_pytest(tmp_path, "mscr/tests/e2e/test_typescript.py")

    told = finished.stdout
    assert finished.returncode == 1, told
    assert "npm not found: the TypeScript clients were neither compiled nor run." in told
    assert "apt-get install nodejs npm" in told


def test_the_other_tests_are_collected_without_a_browser(tmp_path: Path) -> None:
    finished = run_pytest(tmp_path, "--collect-only", "-q", "tests", "mscr/tests")

    told = finished.stdout
    assert finished.returncode == 0, told
    assert "\ntests/test_routes.py" in told
    assert "\nmscr/tests/api/test_search.py" in told
    assert "\nmscr/tests/e2e/" not in told
