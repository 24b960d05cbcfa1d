"""Response times while a table grows tenfold, step by step."""

import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from sqlalchemy import text

from benchmarks.client import encode
from benchmarks.database import connected
from benchmarks.lists import ITEMS, Case, caller_of, cursor_after, deep_place, seed
from benchmarks.options import Options
from benchmarks.report import percentile
from benchmarks.rotation import FAMILIES, Rotation, start_sessions
from benchmarks.stage import Stage

FEWEST_ITEMS: Final = 1_000
FEWEST_SESSIONS: Final = 100
SESSIONS_PER_USER: Final = 10
PAGE_SIZES: Final = (1, 10, 20, 50, 100)
USERS: Final = "/api/v1/users"
ME: Final = "current user"

_ADD_USERS: Final = text("""
INSERT INTO users (public_id, email, email_key, password_hash)
SELECT CAST(gen_random_uuid() AS text), name, name, '' FROM (
    SELECT 'user-' || n || '@sessions.example' AS name
    FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) AS n
) AS names
""")
_ADD_SESSIONS: Final = text("""
INSERT INTO refresh_tokens (public_id, user_id, seed, auth_version, authenticated_at, rotated_at,
                            expires_at, idle_expires_at)
SELECT CAST(gen_random_uuid() AS text), id, sha256(CAST(public_id AS bytea)), auth_version,
       now(), now(), now() + interval '30 days', now() + interval '14 days'
FROM users CROSS JOIN generate_series(1, CAST(:sessions AS integer))
WHERE email LIKE '%@sessions.example'
    AND NOT EXISTS (SELECT 1 FROM refresh_tokens WHERE user_id = users.id)
""")
_MAKE_ADMINISTRATOR: Final = text("UPDATE users SET role = 'admin' WHERE public_id = :public_id")


class Probe(Protocol):
    """A request to measure. `p50s` has the median in milliseconds of each measurement."""

    p50s: list[float]
    failures: int

    async def ask(self, seconds: float) -> None: ...


@dataclass
class _Refresh:
    """Consecutive refreshes of one session."""

    tokens: deque[str]
    port: int
    p50s: list[float] = field(default_factory=list)
    failures: int = 0

    async def ask(self, seconds: float) -> None:
        rotation = Rotation(self.tokens, until=time.perf_counter() + seconds)
        await rotation.refresh(self.port)
        self.failures += rotation.failures
        self.p50s.append(percentile(rotation.times, 0.5) * 1000)


@dataclass
class Curves:
    """The milliseconds of the fastest round for each size: other work has disturbed it least."""

    points: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    async def measure(self, size: int, probes: Mapping[str, Probe], options: Options) -> None:
        for _ in range(options.rounds):
            for probe in probes.values():
                await probe.ask(options.seconds)
        for name, probe in probes.items():
            self.points.setdefault(name, []).append((size, round(min(probe.p50s), 2)))
            if probe.failures:
                self.failures.append(f"{name}: {probe.failures} of {size} were no success")


async def of_sessions(stage: Stage, token: str, options: Options) -> Curves:
    curves = Curves()
    tokens = await start_sessions(stage.port, 1)
    async for size in _growing_sessions(stage, options):
        probes: dict[str, Probe] = {
            ME: Case(encode("GET", f"{USERS}/me", token=token), stage.port),
            "refresh": _Refresh(tokens, stage.port),
        }
        await curves.measure(size, probes, options)
    return curves


async def _growing_sessions(stage: Stage, options: Options) -> AsyncIterator[int]:
    users = 0
    async with connected(
        stage.environment["DATABASE_URL"], isolation_level="AUTOCOMMIT"
    ) as connection:
        for size in _sizes(FEWEST_SESSIONS, options.items):
            wanted = size // SESSIONS_PER_USER
            await connection.execute(_ADD_USERS, {"first": users + 1, "last": wanted})
            await connection.execute(_ADD_SESSIONS, {"sessions": SESSIONS_PER_USER})
            await connection.execute(text(f"VACUUM ANALYZE users, {FAMILIES}"))
            users = wanted
            yield size


async def of_items(stage: Stage, token: str, reader: str, options: Options) -> Curves:
    """Measure as a reader who owns none of the items, with a cursor behind nearly all of them."""
    curves = Curves()
    for size in _sizes(FEWEST_ITEMS, options.items):
        seed(stage, size)
        async with connected(stage.environment["DATABASE_URL"]) as connection:
            _, place = await deep_place(connection)
        paths = {
            ME: f"{USERS}/me",
            "one item": f"{ITEMS}/{place[1]}",
            "page by cursor": f"{ITEMS}?limit=20&cursor={cursor_after(stage, reader, place)}",
            "page with total": f"{ITEMS}?per_page=20",
        }
        probes: dict[str, Any] = {
            name: Case(encode("GET", path, token=token), stage.port) for name, path in paths.items()
        }
        await curves.measure(size, probes, options)
    return curves


async def of_pages(stage: Stage, options: Options) -> Curves:
    """Measure pages of several sizes as an administrator, who sees all users."""
    curves = Curves()
    token, administrator = await caller_of(stage, "administrator")
    async with connected(stage.environment["DATABASE_URL"]) as connection:
        await connection.execute(_MAKE_ADMINISTRATOR, {"public_id": administrator})
        await connection.commit()
    for size in PAGE_SIZES:
        probes: dict[str, Any] = {
            name: Case(encode("GET", f"{path}?limit={size}", token=token), stage.port)
            for name, path in (("users", USERS), ("items", ITEMS))
        }
        await curves.measure(size, probes, options)
    return curves


def _sizes(first: int, last: int) -> list[int]:
    """Return sizes up to `last`, each ten times the one before."""
    sizes = [first]
    while sizes[-1] * 10 <= last:
        sizes.append(sizes[-1] * 10)
    return sizes
