"""Doing once what may be asked for twice: `begin` a use case, and `complete` it before it commits.

The key and the effect are of one transaction. Whatever fails leaves neither, and can be repeated.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from app.core.exceptions import (
    IdempotencyKeyInUseError,
    IdempotencyKeyReusedError,
    UnauthorizedError,
)
from app.core.idempotency import REPLAYED_HEADER, KeyScope, StoredResponse
from app.core.prepared_response import PreparedResponse
from app.models.base import utcnow
from app.models.idempotency_key import IdempotencyKey
from app.repositories.idempotency_key_repository import IdempotencyKeyRepository


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A request that came with a key."""

    scope: KeyScope
    fingerprint: bytes


class IdempotencyService:
    """Of one request. Without a key it does nothing."""

    def __init__(
        self,
        repo: IdempotencyKeyRepository,
        request: IdempotentRequest | None,
        *,
        render: Callable[[Any], StoredResponse],
        lifetime: timedelta,
    ) -> None:
        self.repo = repo
        self._request = request
        self._render = render
        self._lifetime = lifetime

    @property
    def has_key(self) -> bool:
        return self._request is not None

    async def begin(self) -> None:
        """Call it first of all.

        Raises `PreparedResponse`, the answer of the first request with this key, when that is
        through; `IdempotencyKeyInUseError` when it is not; and `IdempotencyKeyReusedError` when
        it was another request. `UnauthorizedError`: the caller's account went away meanwhile.
        """
        if self._request is None:
            return
        scope = self._request.scope
        if not await self.repo.try_lock(scope):
            raise IdempotencyKeyInUseError
        if not await self.repo.keep_owner(scope.user_id):
            raise UnauthorizedError
        known = await self.repo.find(scope)
        if known is None:
            return
        if known.expires_at <= utcnow():
            await self.repo.forget(known)
            return
        if known.fingerprint != self._request.fingerprint:
            raise IdempotencyKeyReusedError
        raise _replay(known)

    async def complete(self, result: object) -> None:
        """Keep the answer that shows `result`. Call it right before `commit()`."""
        if self._request is not None:
            await self.repo.create(
                **asdict(self._request.scope),
                fingerprint=self._request.fingerprint,
                expires_at=utcnow() + self._lifetime,
                **asdict(self._render(result)),
            )


def _replay(known: IdempotencyKey) -> PreparedResponse:
    return PreparedResponse(known.status, known.headers | {REPLAYED_HEADER: "true"}, known.body)
