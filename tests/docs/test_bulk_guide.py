"""docs/bulk.md: its requests work as pasted, on the catalogue."""

import asyncio
import csv
import json
import os
import subprocess
from pathlib import Path

from examples.catalogue.project import project
from examples.catalogue.tests.api import Api
from examples.catalogue.tests.conftest import api_type, tested_project
from mscr.testing.databases import on_sqlite
from mscr.testing.processes import app_processes
from tests.docs.markdown import code_blocks

__all__ = ["api_type", "tested_project"]

BLOCKS = code_blocks(project.import_root / "docs/bulk.md")
[FILE] = [block.code for block in BLOCKS if block.language == "text"]
REQUESTS = "".join(block.code for block in BLOCKS if block.language == "bash")


def test_every_block_has_an_expected_language() -> None:
    assert {block.language for block in BLOCKS} == {"text", "bash"}


@on_sqlite
async def test_the_requests_work_as_pasted(api: Api, database_url: str, tmp_path: Path) -> None:
    token = (await api.register()).access_token
    (tmp_path / "items.csv").write_text(FILE)
    with app_processes(project, 1, database_url) as [process]:
        # curl connects to the test's own server, whatever the host and port in the URL.
        (tmp_path / ".curlrc").write_text(f'unix-socket = "{process.socket}"\n')
        done = await asyncio.to_thread(
            subprocess.run,
            ["bash", "-euo", "pipefail", "-c", REQUESTS],
            cwd=tmp_path,
            env=os.environ | {"TOKEN": token, "CURL_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )

    created, checked = [json.loads(line)["data"] for line in done.stdout.splitlines()]
    assert [row["status"] for row in created["rows"]] == [201, 201]
    assert checked == {"rows": 2, "dry_run": True}
    exported = csv.DictReader((tmp_path / "export.csv").read_text().splitlines())
    assert {row["title"] for row in exported} == {"Buy milk", "Buy bread"}
