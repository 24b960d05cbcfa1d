"""The Redis or Valkey store of rate limit counters, which survives stale connections."""

from datetime import timedelta
from typing import Any, Final

from limits.aio.storage import RedisStorage
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as StoreConnectionError
from redis.exceptions import ReadOnlyError
from redis.exceptions import TimeoutError as StoreTimeoutError

from mscr.connections.keepalive import keepalive_options

# Timeout to connect, and for a response, which takes about a thousandth of this.
DEADLINE: Final = timedelta(seconds=1)
# Cannot collide with a limit: the keys of limits are digests.
TRIAL_KEY: Final = "trial"


def open_counter_store(url: str, *, keepalive: timedelta) -> RedisStorage:
    """Return a store that raises `StorageError` if it fails twice. It connects on first use.

    `url` is redis://, rediss:// or unix://. Its options override those set here.
    """
    is_local = url.startswith("unix:")
    return RedisStorage(
        f"async+{url.replace('unix://', 'redis+unix://', 1)}",
        wrap_exceptions=True,
        implementation="redispy",
        socket_timeout=DEADLINE.total_seconds(),
        socket_connect_timeout=DEADLINE.total_seconds(),
        retry=_second_try(),
        **({} if is_local else _kept_alive(keepalive)),
    )


async def count_once(url: str, *, keepalive: timedelta) -> None:
    """Increment and delete a trial counter: a store that responds may be full or read-only.

    Raises `StorageError`.
    """
    storage = open_counter_store(url, keepalive=keepalive)
    try:
        await storage.incr(TRIAL_KEY, 1)
        await storage.clear(TRIAL_KEY)
    finally:
        await close_counter_store(storage)


async def close_counter_store(storage: RedisStorage) -> None:
    # The library does not close its client, and does not annotate the client's type.
    bridge: Any = storage.bridge
    await bridge.get_connection().aclose()


def _second_try() -> Any:
    """Retry once on a new connection: the store closes idle ones, and firewalls drop them.

    After a failover the old primary replies that it is read-only, and its host name resolves to
    the new one. If a response was lost, a retried increment counts twice: one attempt too many,
    never one too few. The store's other commands are idempotent.
    """
    return Retry(NoBackoff(), 1, (StoreConnectionError, StoreTimeoutError, ReadOnlyError))


def _kept_alive(after: timedelta) -> dict[str, Any]:
    return {"socket_keepalive": True, "socket_keepalive_options": keepalive_options(after)}
