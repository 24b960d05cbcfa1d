"""Rate limits: count attempts and requests in memory, or in Redis or Valkey for all processes."""

import hashlib
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

import structlog
from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError

from mscr.connections.backing_services import STORE, log_fields
from mscr.core.client import customer_of
from mscr.core.config import Settings
from mscr.core.exceptions import ServiceUnavailableError, TooManyRequestsError

log = structlog.get_logger(__name__)

# Audit repeated refusals at most once per subject and window.
NEWS: Final = parse("1/15 minutes")
# The setting that defines the quota of each policy.
SETTINGS: Final = {
    "account": "AUTH_RATE_LIMIT_ACCOUNT",
    "address": "AUTH_RATE_LIMIT_ADDRESS",
    "refresh-session": "REFRESH_RATE_LIMIT_SESSION",
    "refresh-address": "REFRESH_RATE_LIMIT_ADDRESS",
    "user": "API_RATE_LIMIT",
    "stranger": "API_RATE_LIMIT",  # anonymous clients; clients see the name in RateLimit
}
# Time for which a process counts alone after a failure of the store.
STORE_PAUSE: Final = timedelta(seconds=5)


class AttemptLimiter:
    """Limits attempts to log in and to register. Raises `TooManyRequestsError`.

    One counter is per account and address, so that an attacker's guesses do not lock the user out
    elsewhere (ASVS v6.1.1). The other is per address, for all accounts: it slows down credential
    stuffing.

    If the store fails, raises `ServiceUnavailableError`; with RATE_LIMIT_FAIL_OPEN, each process
    counts alone instead.
    """

    def __init__(self, settings: Settings) -> None:
        self._per_account = parse(settings.AUTH_RATE_LIMIT_ACCOUNT)
        self._per_address = parse(settings.AUTH_RATE_LIMIT_ADDRESS)
        self._counters = _Counters(settings, goes_on_alone=settings.RATE_LIMIT_FAIL_OPEN)

    async def count(self, account: str, address: str) -> None:
        await self.count_address(address)
        await self._counters.count(self._per_account, "account", account, customer_of(address))

    async def count_address(self, address: str) -> None:
        """Count an attempt that names no account."""
        await self._counters.count(self._per_address, "address", customer_of(address))

    async def forgive(self, account: str, address: str) -> None:
        """Reset the account's failures after a correct password."""
        await self._counters.clear(self._per_account, "account", account, customer_of(address))

    async def close(self) -> None:
        """Close the connections to the store."""
        await self._counters.close()


class RequestLimiter:
    """Limits requests of callers, and refreshes. Raises `TooManyRequestsError`.

    If the store fails, each process counts alone: these limits are for fairness, not against
    guessing, so they fail open.
    """

    def __init__(self, settings: Settings) -> None:
        self._per_caller = parse(settings.API_RATE_LIMIT)
        self._refresh_per_session = parse(settings.REFRESH_RATE_LIMIT_SESSION)
        self._refresh_per_address = parse(settings.REFRESH_RATE_LIMIT_ADDRESS)
        self._counters = _Counters(settings, goes_on_alone=True)

    async def count_user(self, public_id: str) -> None:
        await self._counters.count(self._per_caller, "user", public_id)

    async def count_anonymous(self, address: str) -> None:
        await self._counters.count(self._per_caller, "stranger", customer_of(address))

    async def count_refresh(self, session: str, address: str) -> None:
        """Count per session and address, so that a flood does not stop the user elsewhere."""
        client = customer_of(address)
        await self._counters.count(self._refresh_per_address, "refresh-address", client)
        await self._counters.count(self._refresh_per_session, "refresh-session", session, client)

    async def is_news(self, *subject: str) -> bool:
        """Return whether `subject` is new in this window, and record it (undo: `forget_news`)."""
        try:
            await self._counters.count(NEWS, "news", *subject)
        except TooManyRequestsError:
            return False
        return True

    async def forget_news(self, *subject: str) -> None:
        await self._counters.clear(NEWS, "news", *subject)

    async def close(self) -> None:
        """Close the connections to the store."""
        await self._counters.close()


class _Counters:
    """Counters in the shared store, or in memory if none is configured.

    With `goes_on_alone`, a process counts in memory for STORE_PAUSE after a failure of the store.
    """

    def __init__(self, settings: Settings, *, goes_on_alone: bool) -> None:
        self._enabled = settings.RATE_LIMIT_ENABLED
        self._storage = _storage(settings)
        self._shared = FixedWindowRateLimiter(self._storage)
        self._own = FixedWindowRateLimiter(MemoryStorage())
        self._goes_on_alone = goes_on_alone
        self._alone_until = 0.0

    async def count(self, limit: RateLimitItem, policy: str, *subject: str) -> None:
        if not self._enabled:
            return
        key = _digest(policy, *subject)

        async def hit(limiter: FixedWindowRateLimiter) -> None:
            if await limiter.hit(limit, key):
                return
            stats = await limiter.get_window_stats(limit, key)
            raise TooManyRequestsError(
                policy=policy,
                quota=limit.amount,
                window=timedelta(seconds=limit.get_expiry()),
                reset=timedelta(seconds=stats.reset_time - time.time()),
                counter=key,
                setting=SETTINGS.get(policy, ""),
            )

        await self._ask(hit)

    async def clear(self, limit: RateLimitItem, policy: str, *subject: str) -> None:
        if not self._enabled:
            return
        key = _digest(policy, *subject)
        await self._ask(lambda limiter: limiter.clear(limit, key))

    async def close(self) -> None:
        if isinstance(self._storage, RedisStorage):
            from mscr.connections.counter_store import close_counter_store  # noqa: PLC0415  # as below

            await close_counter_store(self._storage)

    async def _ask(self, question: Callable[[FixedWindowRateLimiter], Awaitable[None]]) -> None:
        if time.monotonic() >= self._alone_until:
            try:
                await question(self._shared)
            except StorageError as error:
                fields = log_fields(error, STORE)
                if not self._goes_on_alone:
                    # Logged with its reason when the error response is made.
                    why = f"the store of REDIS_URL failed to count: {fields['reason']}"
                    raise ServiceUnavailableError(
                        reason=why, remedy=fields.get("remedy", "")
                    ) from None
                log.warning("limit_store_error", **fields)
                # Otherwise each request would wait for a store that does not respond.
                self._alone_until = time.monotonic() + STORE_PAUSE.total_seconds()
            else:
                return
        await question(self._own)


def _storage(settings: Settings) -> Storage:
    if settings.REDIS_URL is None:
        return MemoryStorage()
    # Imported here, so that the client of the store is loaded only if it is used.
    from mscr.connections.counter_store import open_counter_store  # noqa: PLC0415

    keepalive = timedelta(seconds=settings.TCP_KEEPALIVE_SECONDS)
    return open_counter_store(settings.REDIS_URL.get_secret_value(), keepalive=keepalive)


def _digest(*subject: str) -> str:
    # Keeps personal data out of the store, and makes separators inside the subjects harmless.
    return hashlib.sha256("\0".join(subject).encode()).hexdigest()
