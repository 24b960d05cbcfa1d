"""Counts attempts before they are verified: in memory, or shared through Redis or Valkey."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Network, ip_address
from typing import Any

import structlog
from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError

from app.core.config import Settings
from app.core.exceptions import ServiceUnavailableError, TooManyRequestsError

log = structlog.get_logger(__name__)


class AttemptLimiter:
    """Limits attempts to log in and to register.

    One counter is for an account from one address, so that a stranger's guesses do not lock the
    owner out elsewhere (ASVS v6.1.1); the other is for an address, whatever the account.
    """

    def __init__(self, settings: Settings) -> None:
        self._enabled = settings.RATE_LIMIT_ENABLED
        self._per_account = parse(settings.AUTH_RATE_LIMIT_ACCOUNT)
        self._per_address = parse(settings.AUTH_RATE_LIMIT_ADDRESS)
        self._fails_open = settings.RATE_LIMIT_FAIL_OPEN
        self._storage = _storage(settings)
        self._limiter = FixedWindowRateLimiter(self._storage)

    async def count(self, account: str, address: str) -> None:
        """Raises `TooManyRequestsError`, or `ServiceUnavailableError` when the store is away."""
        if not self._enabled:
            return
        client = _customer(address)
        await self._hit(self._per_address, "address", client)
        await self._hit(self._per_account, "account", account, client)

    async def forgive(self, account: str, address: str) -> None:
        """Forget the account's failures: the password was right."""
        if not self._enabled:
            return
        key = _digest("account", account, _customer(address))
        with self._store_faults():
            await self._limiter.clear(self._per_account, key)

    async def close(self) -> None:
        """Close the connections to the store."""
        if isinstance(self._storage, RedisStorage):
            # The library closes nothing itself, and does not say what type its client is of.
            bridge: Any = self._storage.bridge
            await bridge.get_connection().aclose()

    async def _hit(self, limit: RateLimitItem, policy: str, *subject: str) -> None:
        key = _digest(policy, *subject)
        with self._store_faults():
            if await self._limiter.hit(limit, key):
                return
            stats = await self._limiter.get_window_stats(limit, key)
            raise TooManyRequestsError(
                policy=policy,
                quota=limit.amount,
                window=timedelta(seconds=limit.get_expiry()),
                reset=timedelta(seconds=stats.reset_time - time.time()),
            )

    @contextmanager
    def _store_faults(self) -> Iterator[None]:
        try:
            yield
        except StorageError as error:
            log.warning("attempt_store_error", error=type(error.storage_error).__name__)
            if not self._fails_open:
                raise ServiceUnavailableError from None


def _storage(settings: Settings) -> Storage:
    if settings.REDIS_URL is None:
        return MemoryStorage()
    url = settings.REDIS_URL.get_secret_value().replace("unix://", "redis+unix://", 1)
    # A store that is away costs a login this long at most, then it is answered with 503.
    return RedisStorage(
        f"async+{url}",
        wrap_exceptions=True,
        implementation="redispy",
        socket_timeout=2.0,
        socket_connect_timeout=2.0,
    )


def _customer(address: str) -> str:
    """Of IPv6, the /64 network: whoever has one address has all of those, to take in turn."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, IPv4Address):
        return address
    # What a server that listens on both calls an IPv4 client.
    mapped = ip.ipv4_mapped
    return str(IPv6Network((int(ip), 64), strict=False)) if mapped is None else str(mapped)


def _digest(*subject: str) -> str:
    # Addresses of people stay out of the store, and separators inside them mean nothing.
    return hashlib.sha256("\0".join(subject).encode()).hexdigest()
