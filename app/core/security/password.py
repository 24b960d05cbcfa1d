"""Argon2id, off the event loop, in a bounded pool of its own."""

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

from app.core.config import Settings
from app.core.exceptions import ServiceUnavailableError

T = TypeVar("T")

# Lower priority than the event loop's thread: requests that do not hash stay fast in a login storm.
HASHING_NICENESS = 10


def normalize(password: str) -> str:
    """Return the form in which passwords are compared (NIST SP 800-63B-4 §3.1.1.2).

    Keyboards and systems send one character in different code points, such as é as one or as two.
    """
    return unicodedata.normalize("NFKC", password)


class PasswordService:
    """Hashes and verifies passwords, in the form of `normalize`.

    What costs CPU runs in the pool, and raises `ServiceUnavailableError` when the queue of the
    pool is full (ASVS v15.2.2).
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
        """Whether the password made the hash, as typed or in the form of `normalize`.

        Without a hash (unknown user) it takes the same time and says no, so that the time does
        not tell which accounts exist (ASVS v6.3.8).
        """
        return await self._run(lambda: self._verify(password, password_hash))

    async def needs_rehash(self, password: str, password_hash: str) -> bool:
        """Whether the password's hash has outdated parameters, or is one of the text as typed."""
        if self._hasher.check_needs_rehash(password_hash):
            return True
        normalized = normalize(password)
        return normalized != password and not await self.verify(normalized, password_hash)

    async def warm_up(self) -> None:
        """Make the decoy hash, so that the first unknown user is not answered later than others."""
        await self._run(self._decoy_hash)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _verify(self, password: str, password_hash: str | None) -> bool:
        # Hashes that were made before passwords were normalized are of the text as typed. Both are
        # tried, whatever the first gives: the time depends on the password alone.
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
                reason=f"{self._capacity} password hashes are under way or waiting, which is all",
                remedy="raise PASSWORD_HASH_THREADS (a core each) or PASSWORD_HASH_QUEUE",
            )
        self._free -= 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        # On the future, not in a `finally`: a client that goes away does not stop the hashing.
        future.add_done_callback(self._release)
        return await asyncio.shield(future)

    def _release(self, _: object) -> None:
        self._free += 1


def _lower_priority() -> None:
    # Linux gives each thread its own niceness; elsewhere this would slow the whole process.
    if hasattr(os, "sched_getaffinity"):  # pragma: no branch  # the other one is other systems'
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), HASHING_NICENESS)
