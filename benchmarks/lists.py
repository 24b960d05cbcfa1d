"""Lists of many items beside the first page of few: what size and depth cost."""

import dataclasses
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.config import Settings
from app.core.pagination import Slice
from app.core.state import Collaborators
from app.db.many_items import FREQUENT_WORD, RARE_WORD
from app.schemas.item_schemas import ItemListQuery
from benchmarks.accounts import log_in, register
from benchmarks.client import OK, Connection, encode
from benchmarks.database import connected
from benchmarks.options import Options
from benchmarks.report import Report, percentile, table
from benchmarks.stage import ROOT, Stage, migrate, served

FEW: Final = 1_000
ITEMS: Final = "/api/v1/items"
BASELINE: Final = f"first page of {FEW:,}"
# Of all that can be seen, which is nearly everything.
DEPTH: Final = 0.98
# Of a tag and its items: the one that has the most, and the one that has the fewest.
_TAGS: Final = """
SELECT tags.public_id, count(*) FROM tags JOIN item_tags ON tag_id = tags.id
GROUP BY tags.id ORDER BY count(*) DESC, tags.id
"""
_PLACE: Final = """
SELECT created_at, public_id FROM items WHERE status = 'active' AND is_deleted IS false
ORDER BY created_at DESC, public_id DESC OFFSET :depth LIMIT 1
"""
_VISIBLE: Final = "SELECT count(*) FROM items WHERE status = 'active' AND is_deleted IS false"


@dataclass
class Case:
    """A request, and the median time of its answers in each round."""

    request: bytes
    port: int
    p50s: list[float] = field(default_factory=list)
    failures: int = 0

    async def ask(self, seconds: float) -> None:
        times: list[float] = []
        until = time.perf_counter() + seconds
        async with Connection(self.port) as connection:
            while (started := time.perf_counter()) < until or not times:
                answer = await connection.send(self.request)
                times.append(time.perf_counter() - started)
                self.failures += answer.status != OK
        self.p50s.append(percentile(times, 0.5) * 1000)


async def run(stage: Stage, options: Options) -> Report:
    seeding = seed(stage, options.items)
    async with _another_database(stage) as url:
        migrate(url)
        environment = {**stage.environment, "DATABASE_URL": url}
        beside = dataclasses.replace(stage, environment=environment)
        with served(stage.cores, url, beside=beside) as few:
            seed(few, FEW)
            cases = {BASELINE: Case(await _first_page(few), few.port)}
            cases |= await _cases(stage)
            for _ in range(options.rounds):
                for case in cases.values():
                    await case.ask(options.seconds)
    title = (
        f"lists: {options.rounds} rounds of {options.seconds:g} s a request on one connection, in "
        f"turns; {options.items:,} items, which took {seeding:.0f} s to make"
    )
    return Report(title, [_figures(cases)], _failures(cases))


def seed(stage: Stage, items: int) -> float:
    """Bring the seeded items to this number; how many seconds it took."""
    command = [sys.executable, "-m", "cli", "seed", f"--items={items}"]
    started = time.monotonic()
    subprocess.run(command, check=True, cwd=ROOT, env=dict(stage.environment), stdout=sys.stderr)
    return time.monotonic() - started


@asynccontextmanager
async def _another_database(stage: Stage) -> AsyncIterator[str]:
    url = make_url(stage.environment["DATABASE_URL"])
    name = f"bench_{secrets.token_hex(8)}"
    async with connected(
        stage.environment["DATABASE_URL"], isolation_level="AUTOCOMMIT"
    ) as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
        yield url.set(database=name).render_as_string(hide_password=False)
        await connection.execute(text(f"DROP DATABASE {name}"))


async def _cases(stage: Stage) -> dict[str, Case]:
    token, reader = await caller_of(stage, "reader")
    async with connected(stage.environment["DATABASE_URL"]) as connection:
        depth, place = await deep_place(connection)
        tags = [tuple(row) for row in await connection.execute(text(_TAGS))]
    (largest, largest_count), (smallest, smallest_count) = tags[0], tags[-1]
    after = f"limit=20&cursor={cursor_after(stage, reader, place)}"
    paths = {
        "first page": f"{ITEMS}?limit=20",
        f"page at {depth:,}, by cursor": f"{ITEMS}?{after}",
        "status=active": f"{ITEMS}?limit=20&status=active",
        "status=active, by title": f"{ITEMS}?limit=20&status=active&sort=title",
        f"tag of {largest_count:,}": f"{ITEMS}?limit=20&tag={largest}",
        f"tag of {smallest_count:,}": f"{ITEMS}?limit=20&tag={smallest}",
        "search, a rare word": f"{ITEMS}/search?q={RARE_WORD}",
        "search, a frequent word": f"{ITEMS}/search?q={FREQUENT_WORD}",
        "first page, with the total": f"{ITEMS}?per_page=20",
    }
    return {
        name: Case(encode("GET", path, token=token), stage.port) for name, path in paths.items()
    }


async def deep_place(connection: AsyncConnection) -> tuple[int, tuple[Any, ...]]:
    """How many newer items can be seen, and where a page behind nearly all of them begins."""
    visible = int((await connection.execute(text(_VISIBLE))).scalar_one())
    depth = int(visible * DEPTH)
    return depth, tuple((await connection.execute(text(_PLACE), {"depth": depth})).one())


async def _first_page(stage: Stage) -> bytes:
    token, _ = await caller_of(stage, "reader")
    return encode("GET", f"{ITEMS}?limit=20", token=token)


async def caller_of(stage: Stage, name: str) -> tuple[str, str]:
    """Somebody new, without items: an access token, and the public id."""
    async with Connection(stage.port) as connection:
        tokens = await log_in(connection, await register(connection, name))
        token = tokens["access_token"]
        me = await connection.send(encode("GET", "/api/v1/users/me", token=token))
    return token, str(me.data["public_id"])


def cursor_after(stage: Stage, reader: str, place: tuple[Any, ...]) -> str:
    """As the server would sign it, had one come there page by page."""
    keys = {name: stage.environment[name] for name in ("SECRET_KEY", "JWT_SECRET_KEY")}
    values: dict[str, Any] = {"ENVIRONMENT": "test", **keys}
    settings = Settings(_env_file=None, **values)
    pager = Collaborators.from_settings(settings).pager
    request = pager.open(ItemListQuery(limit=20), "items", reader)
    meta = pager.close(Slice([], next_key=place), request).meta
    return str(meta.model_dump()["next_cursor"])


def _figures(cases: Mapping[str, Case]) -> str:
    base = cases[BASELINE].p50s
    rows = []
    for name, case in cases.items():
        ratios = [p50 / few for p50, few in zip(case.p50s, base, strict=True)]
        spread = (statistics.median(ratios), min(ratios), max(ratios))
        figures = [f"{ratio:.2f}" for ratio in spread]
        rows.append([name, f"{statistics.median(case.p50s):.1f}", *figures])
    return table(["", "p50 ms", "ratio", "lowest", "highest"], rows)


def _failures(cases: Mapping[str, Case]) -> list[str]:
    return [f"{name}: {c.failures} were no success" for name, c in cases.items() if c.failures]
