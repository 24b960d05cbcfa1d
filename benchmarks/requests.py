"""The requests whose speed is measured, with what is needed for their success."""

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
AT_ONCE: Final = 100
NEW_ITEM: Final = {"title": "Buy milk", "description": "Two litres", "status": "active"}
REFRESH: Final = "refresh"
# So that whatever is loaded, connected or prepared once is not counted.
WARM_UP: Final = 0.1


@dataclass(frozen=True)
class Requests:
    """Of one user, who has all the items. Whoever shares secrets and database may answer them."""

    loads: Mapping[str, Load]
    # The newest of each session: what one server has refreshed, the next one goes on with.
    tokens: deque[str]

    @classmethod
    async def prepare(cls, port: int, *, sessions: int = CONNECTIONS) -> Self:
        """With so many sessions to refresh."""
        async with Connection(port) as connection:
            email = await register(connection, "throughput")
            token = (await log_in(connection, email))["access_token"]
            body = {"rows": [NEW_ITEM] * AT_ONCE}
            create = encode("POST", "/api/v1/items/bulk", body=body, token=token)
            created = [await connection.send(create) for _ in range(ITEMS // AT_ONCE)]
        public_id = created[0].data["rows"][0]["public_id"]
        loads = {
            "me": Load("/api/v1/users/me", token),
            "item": Load(f"/api/v1/items/{public_id}", token),
            "list20": Load("/api/v1/items?per_page=20", token),
            "list100": Load("/api/v1/items?per_page=100", token),
            "create": Load("/api/v1/items", token, NEW_ITEM),
        }
        return cls(loads, await start_sessions(port, sessions))

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.loads, REFRESH)

    async def warm_up(self, *ports: int, seconds: float) -> None:
        """In a part of the time that each is measured for."""
        for port in ports:
            for load in self.loads.values():
                await measure_by_client(load, port, seconds=seconds * WARM_UP)
            await refreshes_per_second(self.tokens, port, seconds=seconds * WARM_UP)

    async def answers(self, port: int) -> dict[str, Any]:
        """What is answered to those that change nothing."""
        reading = {name: load for name, load in self.loads.items() if load.body is None}
        async with Connection(port) as connection:
            return {
                name: json.loads((await connection.send(load.request)).body)
                for name, load in reading.items()
            }

    async def settle(self, port: int) -> None:
        """Wait for what others left behind: requests are answered also when nobody listens."""
        async with Connection(port) as connection:
            # The first waits in line behind them, and the second one until they are done.
            for _ in range(2):
                await connection.send(self.loads["me"].request)

    async def ask(self, name: str, port: int, *, seconds: float, by: str) -> Speed:
        """`by` names wrk. The refreshes are always our own client's: each needs the one before."""
        if name == REFRESH:
            return await refreshes_per_second(self.tokens, port, seconds=seconds)
        return await measure(self.loads[name], port, seconds=seconds, by=by)


async def measure(load: Load, port: int, *, seconds: float, by: str) -> Speed:
    executable = shutil.which(by)
    if executable is None:
        return await measure_by_client(load, port, seconds=seconds)
    # In a thread: several servers can be asked at the same time.
    return await asyncio.to_thread(wrk.measure, executable, load, port, seconds=seconds)


def load_is_made_by(wrk_name: str) -> str:
    if shutil.which(wrk_name):
        return "the load is made by wrk"
    return "the load is made by our own client, as there is no wrk here, which costs more"
