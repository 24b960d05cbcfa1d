"""Idempotency keys: `begin` a use case, and `complete` it before it commits.

The key and the effect share one transaction. A failed request leaves neither, and can be retried.
"""

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Final

from pydantic import BaseModel

from mscr.core.already_answered import AlreadyAnswered
from mscr.core.exceptions import (
    IdempotencyKeyInUseError,
    IdempotencyKeyReusedError,
    UnauthorizedError,
)
from mscr.core.idempotency import KeyScope, StoredResponse
from mscr.http.header_names import IDEMPOTENCY_REPLAYED
from mscr.http.representation import Identified, Representations
from mscr.models.base import utcnow
from mscr.models.idempotency_key import IdempotencyKeyMixin
from mscr.repositories.idempotency_key_repository import IdempotencyKeyRepository

CREATED_STATUS: Final = 201


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A request that came with a key."""

    scope: KeyScope
    fingerprint: bytes
    schema: type[BaseModel]
    status: int
    path: str
    kept: Representations

    def response(self, result: object) -> StoredResponse:
        """Return the response that shows `result`, the same that is sent now."""
        shown = self.kept.make(result, self.schema)
        # A result that stands for many objects has no location.
        created = self.status == CREATED_STATUS and isinstance(result, Identified)
        headers = shown.created_headers(self.path) if created else {}
        return StoredResponse(status=self.status, headers=headers, body=shown.body)


class IdempotencyService:
    """The idempotency key of one request. Without a key, the methods do nothing."""

    def __init__(
        self,
        repo: IdempotencyKeyRepository,
        request: IdempotentRequest | None,
        *,
        lifetime: timedelta,
    ) -> None:
        self.repo = repo
        self._request = request
        self._lifetime = lifetime

    @property
    def has_key(self) -> bool:
        return self._request is not None

    async def begin(self) -> None:
        """Lock the key, and look for an earlier request with it. Call this first in a use case.

        Raises `AlreadyAnswered` with the stored response if the first request has completed,
        `IdempotencyKeyInUseError` if it has not, and `IdempotencyKeyReusedError` if it was a
        different request. Raises `UnauthorizedError` if the caller's account was deleted meanwhile.
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
        """Store the response that shows `result`. Call this right before `commit()`.

        Warning: the result must not change after this: if the request has a key, the response shows
        the result as it was stored.
        """
        if self._request is not None:
            await self.repo.create(
                **asdict(self._request.scope),
                fingerprint=self._request.fingerprint,
                expires_at=utcnow() + self._lifetime,
                **asdict(self._request.response(result)),
            )


def _replay(known: IdempotencyKeyMixin) -> AlreadyAnswered:
    return AlreadyAnswered(known.status, known.headers | {IDEMPOTENCY_REPLAYED: "true"}, known.body)
