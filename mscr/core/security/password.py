"""Password hashing: Argon2id, off the event loop, in a bounded thread pool."""

import asyncio
import contextlib
import os
import secrets
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from mscr.core.config import Settings
from mscr.core.exceptions import ServiceUnavailableError

T = TypeVar("T")

# Lower priority than the event loop: requests that do not hash stay fast in a flood of logins.
HASHING_NICENESS = 10


def normalize(password: str) -> str:
    """Return the normalized password, which is hashed (NIST SP 800-63B-4 §3.1.1.2).

    Keyboards and systems encode one character differently, such as é as one or two code points.
    """
    return unicodedata.normalize("NFKC", password)


class PasswordService:
    """Hashes and verifies passwords, normalized by `normalize`.

    CPU-bound work runs in the thread pool. When its queue is full, load is shed with
    `ServiceUnavailableError` (ASVS v15.2.2).
    """

    def __init__(self, settings: Settings) -> None:
        self._hasher = PasswordHasher(
            time_cost=settings.ARGON2_TIME_COST,
            memory_cost=settings.ARGON2_MEMORY_KIB,
            parallelism=settings.ARGON2_PARALLELISM,
            type=Type.ID,
        )
        self._pool = ThreadPoolExecutor(
            settings.PASSWORD_HASH_THREADS, "password-hash", initializer=_lower_priority
        )
        self._capacity = settings.PASSWORD_HASH_THREADS + settings.PASSWORD_HASH_QUEUE
        self._free = self._capacity
        self._decoy: str | None = None

    async def hash(self, password: str) -> str:
        return await self._run(lambda: self._hasher.hash(normalize(password)))

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether the password matches the hash, as typed or normalized.

        Without a hash (unknown user), return False after the same time: a timing side channel
        would allow account enumeration (ASVS v6.3.8).
        """
        return await self._run(lambda: self._verify(password, password_hash))

    async def needs_rehash(self, password: str, password_hash: str) -> bool:
        """Whether the hash has outdated parameters, or is of the password before normalization."""
        if self._hasher.check_needs_rehash(password_hash):
            return True
        normalized = normalize(password)
        return normalized != password and not await self.verify(normalized, password_hash)

    async def warm_up(self) -> None:
        """Compute the decoy hash, so that the first unknown user takes no longer than others."""
        await self._run(self._decoy_hash)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _verify(self, password: str, password_hash: str | None) -> bool:
        # Hashes from before normalization are of the password as typed. Both forms are always
        # tried, so that the time depends on the password alone.
        forms = dict.fromkeys((normalize(password), password))
        matches = [self._matches(form, password_hash or self._decoy_hash()) for form in forms]
        return password_hash is not None and any(matches)

    def _matches(self, password: str, password_hash: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    def _decoy_hash(self) -> str:
        if self._decoy is None:
            self._decoy = self._hasher.hash(secrets.token_urlsafe())
        return self._decoy

    async def _run(self, work: Callable[[], T]) -> T:
        if self._free <= 0:
            raise ServiceUnavailableError(
                "Too many logins at once. Try again shortly.",
                reason=f"{self._capacity} password hashes are running or waiting, which is the "
                f"maximum",
                remedy="raise PASSWORD_HASH_THREADS (a core each) or PASSWORD_HASH_QUEUE",
            )
        self._free -= 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        # On the future, not in a `finally`: a disconnected client does not stop the hashing.
        future.add_done_callback(self._release)
        return await asyncio.shield(future)

    def _release(self, _: object) -> None:
        self._free += 1


def _lower_priority() -> None:
    # On Linux, niceness is per thread; elsewhere this would slow down the whole process.
    if hasattr(os, "sched_getaffinity"):  # pragma: no branch  # other systems take the other one
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), HASHING_NICENESS)
