"""docs/openapi.md: its commands work, and its client is the one in mscr/tests/e2e."""

import json
from pathlib import Path

from app.core.config import PROJECT_ROOT
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
