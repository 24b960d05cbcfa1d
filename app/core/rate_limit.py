"""Counts attempts before they are verified: in memory, or shared through Redis or Valkey."""

import hashlib
import time
from datetime import timedelta

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError

from app.core.config import Settings
from app.core.exceptions import ServiceUnavailableError, TooManyRequestsError


class AttemptLimiter:
    """Limits attempts to log in and to register.

    One counter is for an account from one address, so that a stranger's guesses do not lock the
    owner out elsewhere (ASVS v6.1.1); the other is for an address, whatever the account.
    """

    def __init__(self, settings: Settings) -> None:
        self._enabled = settings.RATE_LIMIT_ENABLED
        self._per_account = parse(settings.AUTH_RATE_LIMIT_ACCOUNT)
        self._per_address = parse(settings.AUTH_RATE_LIMIT_ADDRESS)
        self._storage = _storage(settings)
        self._limiter = FixedWindowRateLimiter(self._storage)

    async def count(self, account: str, address: str) -> None:
        """Raises `TooManyRequestsError`, or `ServiceUnavailableError` when the store is away."""
        if not self._enabled:
            return
        await self._hit(self._per_address, "address", address)
        await self._hit(self._per_account, "account", account, address)

    async def forgive(self, account: str, address: str) -> None:
        """Forget the account's failures: the password was right."""
        if not self._enabled:
            return
        try:
            await self._limiter.clear(self._per_account, _digest("account", account, address))
        except StorageError:
            raise ServiceUnavailableError from None

    async def _hit(self, limit: RateLimitItem, *subject: str) -> None:
        key = _digest(*subject)
        try:
            if await self._limiter.hit(limit, key):
                return
            window = await self._limiter.get_window_stats(limit, key)
        except StorageError:
            raise ServiceUnavailableError from None
        raise TooManyRequestsError(retry_after=timedelta(seconds=window.reset_time - time.time()))


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


def _digest(*subject: str) -> str:
    # Addresses of people stay out of the store, and separators inside them mean nothing.
    return hashlib.sha256("\0".join(subject).encode()).hexdigest()
