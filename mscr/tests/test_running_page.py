"""docs/running.md: each row names an existing test, or states that nothing was tried."""

import re
from typing import Final

import pytest
from fastapi import FastAPI

from examples.catalogue.core.config import Settings
from mscr.core.config import PRODUCTION_DRAIN_SECONDS
from mscr.testing.databases import on_sqlite
from mscr.testing.routes import routes_of
from mscr.tests.support.paths import REPOSITORY

PAGE: Final = (REPOSITORY / "docs/running.md").read_text(encoding="utf-8")
ROWS: Final = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| where", "| **"))
]
NAMED: Final = sorted(set(re.findall(r"`(mscr/tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_the_page_names_exists(path: str, name: str) -> None:
    text = (REPOSITORY / path).read_text(encoding="utf-8")
    assert name == "" or re.search(rf"^(?:async )?def {name}\(", text, re.MULTILINE)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_names_its_coverage(row: list[str]) -> None:
    assert len(row) == 3
    assert re.search(r"`mscr/tests/\w|the same|not tried|verification", row[2])


@on_sqlite
def test_the_probes_and_the_grace_periods_fit_the_application(app: FastAPI) -> None:
    [pod] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    probes = re.findall(r"httpGet: \{path: (\S+), port: (\d+)\}", pod)
    [grace] = re.findall(r"terminationGracePeriodSeconds: (\d+)", pod)
    unit = (REPOSITORY / "deploy/backend.service").read_text(encoding="utf-8")
    [stop] = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    needed = PRODUCTION_DRAIN_SECONDS + Settings.model_fields["SHUTDOWN_TIMEOUT_SECONDS"].default

    assert {f"GET {path}" for path, _ in probes} < set(routes_of(app))
    assert [int(port) for _, port in probes] == [Settings.model_fields["PORT"].default] * 2
    assert int(grace) > needed
    assert int(stop) > needed


def test_the_settings_that_the_page_names_exist() -> None:
    names = set(re.findall(r"`([A-Z][A-Z_]{3,})(?:=[^`]*)?`", PAGE))
    assert names - set(Settings.model_fields) == set()
