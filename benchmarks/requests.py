"""The requests that are measured, with the accounts, items and sessions that they need."""

import asyncio
import json
import shutil
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from benchmarks import wrk
from benchmarks.accounts import log_in, register
from benchmarks.client import Connection, encode
from benchmarks.load import CONNECTIONS, Load, Speed, measure_by_client
from benchmarks.rotation import refreshes_per_second, start_sessions

ITEMS: Final = 200
NEW_ITEM: Final = {"title": "Buy milk", "description": "Two litres", "status": "active"}
NEW_NOTE: Final = {"text": "Buy milk"}
REFRESH: Final = "refresh"
# The share of the measured time to warm up: one-time loading, connecting and preparing is not
# counted.
WARM_UP: Final = 0.1


@dataclass(frozen=True)
class Requests:
    """The requests of one user, who owns all items.

    All servers with the same secrets and database can serve them.
    """

    loads: Mapping[str, Load]
    # The newest refresh token of each session. Each server goes on with the last server's tokens.
    tokens: deque[str]

    @classmethod
    async def prepare(cls, port: int, *, sessions: int = CONNECTIONS) -> Self:
        """Create the user, the items, and this number of sessions to refresh."""
        async with Connection(port) as connection:
            email = await register(connection, "throughput")
            token = (await log_in(connection, email))["access_token"]
            create = encode("POST", "/api/v1/items", body=NEW_ITEM, token=token)
            created = [await connection.send(create) for _ in range(ITEMS)]
        public_id = created[0].data["public_id"]
        loads = {
            "me": Load("/api/v1/users/me", token),
            "item": Load(f"/api/v1/items/{public_id}", token),
            "list20": Load("/api/v1/items?per_page=20", token),
            "list100": Load("/api/v1/items?per_page=100", token),
            "create": Load("/api/v1/items", token, NEW_ITEM),
        }
        return cls(loads, await start_sessions(port, sessions))

    @classmethod
    async def of_resources(cls, port: int) -> Self:
        """Create the user, the items, and as many notes. Request both in the same ways."""
        items = (await cls.prepare(port, sessions=0)).loads
        token = items["item"].token
        create = Load("/api/v1/notes", token, NEW_NOTE)
        async with Connection(port) as connection:
            created = [await connection.send(create.request) for _ in range(ITEMS)]
        loads = {
            "note": Load(f"/api/v1/notes/{created[0].data['public_id']}", token),
            "notes20": Load("/api/v1/notes?per_page=20", token),
            "create_note": create,
            **{name: items[name] for name in ("item", "list20", "create")},
        }
        return cls(loads, deque())

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.loads, REFRESH) if self.tokens else tuple(self.loads)

    async def warm_up(self, *ports: int, seconds: float) -> None:
        """Send each request for a part of the measured time."""
        for port in ports:
            for load in self.loads.values():
                await measure_by_client(load, port, seconds=seconds * WARM_UP)
            await refreshes_per_second(self.tokens, port, seconds=seconds * WARM_UP)

    async def answers(self, port: int) -> dict[str, Any]:
        """Return the responses to the requests that only read."""
        reading = {name: load for name, load in self.loads.items() if load.body is None}
        async with Connection(port) as connection:
            return {
                name: json.loads((await connection.send(load.request)).body)
                for name, load in reading.items()
            }

    async def settle(self, port: int) -> None:
        await settle(next(iter(self.loads.values())), port)

    async def ask(self, name: str, port: int, *, seconds: float, by: str) -> Speed:
        """Measure a request. `by` is the name of wrk.

        Refreshes are always sent by our own client: each needs the response to the one before.
        """
        if name == REFRESH:
            return await refreshes_per_second(self.tokens, port, seconds=seconds)
        return await measure(self.loads[name], port, seconds=seconds, by=by)


async def settle(load: Load, port: int) -> None:
    """Wait until the server has finished requests whose clients have disconnected."""
    async with Connection(port) as connection:
        # The first request queues behind them, and the second one waits until they are done.
        for _ in range(2):
            await connection.send(load.request)


async def measure(load: Load, port: int, *, seconds: float, by: str) -> Speed:
    executable = shutil.which(by)
    if executable is None:
        return await measure_by_client(load, port, seconds=seconds)
    # In a thread, so that several servers can be measured at the same time.
    return await asyncio.to_thread(wrk.measure, executable, load, port, seconds=seconds)


def load_is_made_by(wrk_name: str) -> str:
    if shutil.which(wrk_name):
        return "the load is made by wrk"
    return "the load is made by our own client, as there is no wrk here, which costs more"
