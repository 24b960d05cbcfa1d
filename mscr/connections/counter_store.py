"""Redis or Valkey as the store of `limits`, with connections that may have died unnoticed."""

from datetime import timedelta
from typing import Any, Final

from limits.aio.storage import RedisStorage
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as StoreConnectionError
from redis.exceptions import ReadOnlyError
from redis.exceptions import TimeoutError as StoreTimeoutError

from app.core.keepalive import keepalive_options

# How long the store may take to connect, and to answer: it needs a thousandth of it.
DEADLINE: Final = timedelta(seconds=1)
# Belongs to no limit: the keys of limits are digests.
TRIAL_KEY: Final = "trial"


def open_counter_store(url: str, *, keepalive: timedelta) -> RedisStorage:
    """Return a store that raises `StorageError` when it fails twice. It connects when used.

    `url` is redis://, rediss:// or unix://; its options have the last word.
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
    """Do what limits do: a store that answers may still be full, or read-only.

    Raises `StorageError`.
    """
    storage = open_counter_store(url, keepalive=keepalive)
    try:
        await storage.incr(TRIAL_KEY, 1)
        await storage.clear(TRIAL_KEY)
    finally:
        await close_counter_store(storage)


async def close_counter_store(storage: RedisStorage) -> None:
    # The library closes nothing itself, and does not say what type its client is of.
    bridge: Any = storage.bridge
    await bridge.get_connection().aclose()


def _second_try() -> Any:
    """Try once more, on a new connection: the store closes idle ones, and firewalls forget them.

    After a failover, the old primary says that it is read-only, and its name leads to the new one.
    When an answer was lost, a repeated increment counts twice: an attempt too many, and never one
    too few. The store's other commands may be repeated as they are.
    """
    return Retry(NoBackoff(), 1, (StoreConnectionError, StoreTimeoutError, ReadOnlyError))


def _kept_alive(after: timedelta) -> dict[str, Any]:
    return {"socket_keepalive": True, "socket_keepalive_options": keepalive_options(after)}
