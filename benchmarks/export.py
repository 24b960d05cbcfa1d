"""The export of a long list. Its memory must not depend on the list's length."""

import time
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Final

from sqlalchemy import text

from benchmarks import memory
from benchmarks.accounts import log_in, register
from benchmarks.client import HOST, OK, Connection
from benchmarks.database import connected
from benchmarks.options import Options
from benchmarks.report import Report, table
from benchmarks.stage import Stage

PATH: Final = "/api/v1/items/export"
FORMATS: Final = ("ndjson", "csv")
TIMEOUT_SECONDS: Final = 60
MAX_GROWTH: Final = 50 * memory.MEGABYTE

# Half of the items are published: the export reads those, and the drafts of their owner.
SEED: Final = text(
    "INSERT INTO items (public_id, title, description, status, owner_id, created_at, updated_at)"
    " SELECT gen_random_uuid()::text, 'Item ' || n, 'A longer description of item ' || n,"
    " CASE WHEN n % 2 = 0 THEN 'active' ELSE 'draft' END, users.id,"
    " timestamptz '2026-01-01' + n * interval '1 second', timestamptz '2026-01-01'"
    " FROM generate_series(1, :rows) AS n, users WHERE users.email = :email"
)


@dataclass(frozen=True)
class Export:
    """The measurement of one export. `growth` is None on systems that do not report memory."""

    row_format: str
    rows: int
    size: int
    seconds: float
    growth: int | None


async def run(stage: Stage, options: Options) -> Report:
    async with Connection(stage.port) as connection:
        email = await register(connection, "exporter")
        token = (await log_in(connection, email))["access_token"]
    _receive(stage, token, FORMATS[0])  # a warm-up: one-time loading is not counted
    await _seed(stage, email, options.items)
    exports = [_receive(stage, token, row_format) for row_format in FORMATS]
    return Report(
        f"Export of {options.items} rows",
        [table(("", "rows/s", "MB", "seconds", "peak + MB"), [_line(each) for each in exports])],
        [broken for each in exports for broken in _broken(each, options.items)],
    )


async def _seed(stage: Stage, email: str, rows: int) -> None:
    url = stage.environment["DATABASE_URL"]
    async with connected(url, isolation_level="AUTOCOMMIT") as connection:
        await connection.execute(SEED, {"rows": rows, "email": email})
        await connection.execute(text("VACUUM ANALYZE items"))


def _receive(stage: Stage, token: str, row_format: str) -> Export:
    rows = size = 0
    memory.reset_peak(stage.process_id)
    before = memory.resident(stage.process_id)
    started = time.perf_counter()
    with closing(HTTPConnection(HOST, stage.port, timeout=TIMEOUT_SECONDS)) as connection:
        headers = {"Authorization": f"Bearer {token}"}
        connection.request("GET", f"{PATH}?format={row_format}", headers=headers)
        response = connection.getresponse()
        if response.status != OK:
            raise RuntimeError(f"the export was answered with {response.status}")
        while part := response.read1():
            rows += part.count(b"\n")
            size += len(part)
    seconds = time.perf_counter() - started
    peak = memory.peak(stage.process_id)
    growth = None if before is None or peak is None else peak - before
    return Export(row_format, rows - (row_format == "csv"), size, seconds, growth)


def _line(export: Export) -> tuple[str, ...]:
    return (
        export.row_format,
        f"{export.rows / export.seconds:.0f}",
        f"{export.size / memory.MEGABYTE:.1f}",
        f"{export.seconds:.1f}",
        "-" if export.growth is None else f"{export.growth / memory.MEGABYTE:.1f}",
    )


def _broken(export: Export, rows: int) -> list[str]:
    broken = []
    if export.rows != rows:
        broken.append(f"{export.row_format}: {export.rows} of {rows} rows came")
    if export.growth is not None and export.growth >= MAX_GROWTH:
        broken.append(f"{export.row_format}: the process grew by {export.growth} bytes")
    return broken
