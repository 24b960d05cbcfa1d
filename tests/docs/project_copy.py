"""A copy of the project, in which tests follow the docs as a reader does."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

START_TIMEOUT_SECONDS = 60
TESTS = ("tests", "mscr/tests", "examples/catalogue/tests", "examples/realworld/tests")
ENVIRONMENTS = (".venv", ".tools")
LEFT_OUT = (".git", "__pycache__", ".env", ".hypothesis", "htmlcov", "*.db*", ".coverage*")


class ProjectCopy:
    """The project's files in another folder, with the same `.venv` and `.tools`."""

    def __init__(self, path: Path, source: Path) -> None:
        self.path = path
        # The caches of mypy and ruff are copied too, with the file times that keep them valid.
        shutil.copytree(source, path, ignore=shutil.ignore_patterns(*LEFT_OUT, *ENVIRONMENTS))
        for name in ENVIRONMENTS:
            if (source / name).exists():
                (path / name).symlink_to(source / name)

    def delete_tests(self, *kept: str) -> None:
        """Delete the modules of tests: checking their types would take most of the time."""
        for folder in TESTS:
            for path in (self.path / folder).rglob("test_*.py"):
                if str(path.relative_to(self.path)) not in kept:
                    path.unlink()

    def environment(self, **variables: str) -> dict[str, str]:
        """Return a newcomer's environment: none of the tests' settings, and `.venv` activated."""
        home = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
        activated = f"{self.path}/.venv/bin:{os.environ['PATH']}"
        return {**home, "PATH": activated, **variables}

    def start(self, script: str, **variables: str) -> subprocess.Popen[str]:
        """Run a bash script in the background; it stops at the first command that fails."""
        return subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.path,
            env=self.environment(**variables),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, script: str, **variables: str) -> str:
        """Run a script to its end and return its output; raise `AssertionError` if it fails."""
        with self.start(script, **variables) as process:
            output, _ = process.communicate()
        assert process.returncode == 0, f"{script}\nended with {process.returncode}:\n{output}"
        return output


def wait_until_it_answers(process: subprocess.Popen[str], port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while True:
        try:
            with urlopen(f"http://127.0.0.1:{port}/health/live", timeout=1):
                return
        except (URLError, OSError):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline, "it did not answer in time"
            time.sleep(0.05)


def interrupt(process: subprocess.Popen[str]) -> str:
    """Stop it like Ctrl-C in a terminal, and return its output."""
    # Signal the whole process group: make, the command and the reloader.
    os.killpg(process.pid, signal.SIGINT)
    return process.communicate(timeout=20)[0]
