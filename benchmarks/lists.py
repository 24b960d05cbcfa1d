"""Response times of lists of many items, relative to the same request with a few items."""

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

from benchmarks.accounts import log_in, register
from benchmarks.client import OK, Connection, encode
from benchmarks.database import connected
from benchmarks.options import Options
from benchmarks.report import Report, percentile, table
from benchmarks.stage import ROOT, Stage, migrate, served
from examples.catalogue.core.config import Settings
from examples.catalogue.db.many_items import FREQUENT_WORD, RARE_WORD
from examples.catalogue.schemas.item_schemas import ItemListQuery
from mscr.collaborators import Collaborators
from mscr.queries.pagination import Slice

FEW: Final = 1_000
ITEMS: Final = "/api/v1/items"
# Marks pages as visible to all, so that PostgreSQL counts in an index without reading the table. In
# production, autovacuum does so; the server of the benchmarks has none.
_VACUUM: Final = "VACUUM ANALYZE items, item_tags"
# The share of the visible items, which are nearly all, that come before the deep page.
DEPTH: Final = 0.98
# Tags with their numbers of items: the first has the most, the last the fewest.
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
    """A request, with the median response time of each round in milliseconds."""

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


@dataclass
class Pair:
    """The same request with many items and with a few."""

    many: Case
    few: Case

    async def ask(self, seconds: float) -> None:
        for case in (self.few, self.many):
            await case.ask(seconds)

    @property
    def spread(self) -> tuple[float, float, float]:
        """Return the median, the lowest and the highest ratio of the rounds."""
        ratios = [many / few for many, few in zip(self.many.p50s, self.few.p50s, strict=True)]
        return statistics.median(ratios), min(ratios), max(ratios)


async def run(stage: Stage, options: Options) -> Report:
    seeding = seed(stage, options.items)
    async with another_database(stage) as url:
        migrate(url)
        environment = {**stage.environment, "DATABASE_URL": url}
        beside = dataclasses.replace(stage, environment=environment)
        with served(stage.cores, url, beside=beside) as few:
            seed(few, FEW)
            cases = await _cases(stage)
            twins = (await _cases(few)).values()
            pairs = {
                name: Pair(case, twin)
                for (name, case), twin in zip(cases.items(), twins, strict=True)
            }
            for _ in range(options.rounds):
                for pair in pairs.values():
                    await pair.ask(options.seconds)
    title = (
        f"lists: {options.rounds} rounds of {options.seconds:g} s a request on one connection, in "
        f"turns; {options.items:,} items, which took {seeding:.0f} s to make, beside {FEW:,}"
    )
    return Report(title, [_figures(pairs)], _failures(pairs), {"lists": _ratios(pairs)})


def seed(stage: Stage, items: int) -> float:
    """Add seeded items up to this number. Return the seconds that it took."""
    command = [sys.executable, "-m", "examples.catalogue", "seed", f"--items={items}"]
    started = time.monotonic()
    subprocess.run(command, check=True, cwd=ROOT, env=dict(stage.environment), stdout=sys.stderr)
    return time.monotonic() - started


@asynccontextmanager
async def another_database(stage: Stage) -> AsyncIterator[str]:
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
    url = stage.environment["DATABASE_URL"]
    async with connected(url, isolation_level="AUTOCOMMIT") as connection:
        await connection.execute(text(_VACUUM))
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
        "first page, with the total": f"{ITEMS}?per_page=20",
        "search, a rare word": f"{ITEMS}/search?q={RARE_WORD}",
        "search, a word of every fourth": f"{ITEMS}/search?q={FREQUENT_WORD}",
        "the same, by cursor": f"{ITEMS}/search?limit=20&q={FREQUENT_WORD}",
        "the same, by title": f"{ITEMS}/search?limit=20&sort=title&q={FREQUENT_WORD}",
    }
    return {
        name: Case(encode("GET", path, token=token), stage.port) for name, path in paths.items()
    }


async def deep_place(connection: AsyncConnection) -> tuple[int, tuple[Any, ...]]:
    """Return the number of visible items before the deep page, and its position for a cursor."""
    visible = int((await connection.execute(text(_VISIBLE))).scalar_one())
    depth = int(visible * DEPTH)
    return depth, tuple((await connection.execute(text(_PLACE), {"depth": depth})).one())


async def caller_of(stage: Stage, name: str) -> tuple[str, str]:
    """Register an account without items. Return an access token and the public id."""
    async with Connection(stage.port) as connection:
        tokens = await log_in(connection, await register(connection, name))
        token = tokens["access_token"]
        me = await connection.send(encode("GET", "/api/v1/users/me", token=token))
    return token, str(me.data["public_id"])


def cursor_after(stage: Stage, reader: str, place: tuple[Any, ...]) -> str:
    """Return the cursor that the server would sign for this position."""
    keys = {name: stage.environment[name] for name in ("SECRET_KEY", "JWT_SECRET_KEY")}
    values: dict[str, Any] = {"ENVIRONMENT": "test", **keys}
    settings = Settings.from_env_file(None, **values)
    pager = Collaborators.from_settings(settings).pager
    request = pager.page_request(ItemListQuery(limit=20), "items", reader)
    meta = pager.page(Slice([], next_key=place), request).meta
    return str(meta.model_dump()["next_cursor"])


def _ratios(pairs: Mapping[str, Pair]) -> dict[str, float]:
    return {name: round(pair.spread[0], 2) for name, pair in pairs.items()}


def _figures(pairs: Mapping[str, Pair]) -> str:
    rows = []
    for name, pair in pairs.items():
        p50s = [f"{statistics.median(case.p50s):.1f}" for case in (pair.few, pair.many)]
        rows.append([name, *p50s, *(f"{ratio:.2f}" for ratio in pair.spread)])
    head = ["", f"p50 ms of {FEW:,}", "of many", "ratio", "lowest", "highest"]
    return table(head, rows)


def _failures(pairs: Mapping[str, Pair]) -> list[str]:
    return [
        f"{name}: {failures} were no success"
        for name, pair in pairs.items()
        if (failures := pair.many.failures + pair.few.failures)
    ]
