"""docs/openapi.md: its commands work, and its client is the one in mscr/tests/e2e."""

import json
from pathlib import Path
from typing import Any

from schemathesis.checks import CHECKS, load_all_checks

from app.core.config import PROJECT_ROOT
from mscr.testing.route_checks.fuzzing import FuzzChecks
from tests.docs.markdown import code_blocks
from tests.docs.project_copy import ProjectCopy

BLOCKS = {b.language: b.code for b in code_blocks(PROJECT_ROOT / "docs/openapi.md")}
CLIENT = PROJECT_ROOT / "mscr/tests/e2e/typescript"


def test_the_command_of_the_page_writes_the_document(tmp_path: Path) -> None:
    copy = ProjectCopy(tmp_path / "project", PROJECT_ROOT)
    document = copy.path / "openapi.json"
    document.unlink()

    assert copy.run(BLOCKS["bash"]) == "wrote openapi.json\n"
    assert document.read_text() == (PROJECT_ROOT / "openapi.json").read_text()


def test_the_client_of_the_page_is_the_tested_one() -> None:
    scripts = json.loads((CLIENT / "package.json").read_text())["scripts"]
    assert BLOCKS["text"].splitlines() == ["npm ci", f"npx {scripts['generate']}"]
    lines = set((CLIENT / "client.ts").read_text().splitlines())
    assert set(BLOCKS["typescript"].splitlines()) <= lines


def test_the_checks_that_the_page_skips_exist() -> None:
    written: dict[str, Any] = {"__name__": "test_fuzz"}
    exec(BLOCKS["python"], written)  # noqa: S102 - the page is ours
    load_all_checks()
    [(_, name)] = written["TestFuzzing"].skipped
    assert issubclass(written["TestFuzzing"], FuzzChecks)
    assert name in CHECKS.get_all_names()
