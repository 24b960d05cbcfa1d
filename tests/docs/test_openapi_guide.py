"""docs/openapi.md: its commands work, and its client is the one that is tested."""

import json
from pathlib import Path

from app.core.config import PROJECT_ROOT
from tests.support.markdown import code_blocks
from tests.support.project_copy import ProjectCopy

BLOCKS = {b.language: b.code for b in code_blocks(PROJECT_ROOT / "docs/openapi.md")}
CLIENT = PROJECT_ROOT / "tests/e2e/typescript"


def test_the_document_is_written_as_the_page_says(tmp_path: Path) -> None:
    copy = ProjectCopy(tmp_path / "project")
    document = copy.path / "openapi.json"
    document.unlink()

    assert copy.run(BLOCKS["bash"]) == "wrote openapi.json\n"
    assert document.read_text() == (PROJECT_ROOT / "openapi.json").read_text()


def test_the_client_of_the_page_is_the_one_that_is_compiled_and_run() -> None:
    scripts = json.loads((CLIENT / "package.json").read_text())["scripts"]
    assert scripts["generate"] == BLOCKS["text"].strip()
    lines = set((CLIENT / "client.ts").read_text().splitlines())
    assert set(BLOCKS["typescript"].splitlines()) <= lines
