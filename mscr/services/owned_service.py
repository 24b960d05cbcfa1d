"""The use cases of a plain resource whose rows belong to users: list, get, create, update, delete.

A rule is a method of a subclass, or overrides one of these methods. `docs/resources.md` shows both.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Final, Generic
from uuid import UUID

from pydantic import BaseModel

from mscr.core.exceptions import NotFoundError, PreconditionFailedError, UnauthorizedError
from mscr.core.security.principal import Principal
from mscr.http.preconditions import Preconditions
from mscr.jobs.outbox import Outbox
from mscr.queries.pagination import PageRequest, Slice
from mscr.queries.shown_rows import ShownRow
from mscr.repositories.base import ModelType
from mscr.repositories.owned_repository import OwnedRepository
from mscr.schemas.base import attributes_of
from mscr.services.idempotency_service import IdempotencyService

# No account has this key.
ANONYMOUS_ID: Final = 0


class OwnedService(Generic[ModelType]):
    """The rows that one caller may see and change. Rows of others do not exist for the caller.

    A subclass names its `repository`, and the `response` that shows its rows: the columns to read
    are derived from the fields of the response. `preconditions` and `idempotency` are those of the
    request, if it has any. `caller` is None for an anonymous client, who only reads.
    """

    repository: ClassVar[type[OwnedRepository[Any]]]
    response: ClassVar[type[BaseModel]]

    def __init__(
        self,
        repo: OwnedRepository[ModelType],
        caller: Principal | None,
        *,
        preconditions: Preconditions | None = None,
        idempotency: IdempotencyService | None = None,
        outbox: Outbox | None = None,
    ) -> None:
        self.repo = repo
        self._caller = caller
        self._preconditions = preconditions
        self._idempotency = idempotency
        self._outbox = outbox
        self._has_begun = False
        self._has_locked = False
        self._is_finished = False

    @property
    def caller(self) -> Principal:
        """The caller. Raises `UnauthorizedError` for an anonymous client."""
        if self._caller is None:
            raise UnauthorizedError
        return self._caller

    @property
    def outbox(self) -> Outbox:
        """The jobs of this use case: add them after `lock` or `begin`, before `save` or `finish`.

        Raises `RuntimeError` in a request that only reads.
        """
        if self._outbox is None:
            raise RuntimeError(f"{type(self).__name__} only reads here: it has no outbox")
        return self._outbox

    @property
    def viewer_id(self) -> int:
        """The caller's key, or `ANONYMOUS_ID`."""
        return ANONYMOUS_ID if self._caller is None else self._caller.user_id

    async def list(self, page: PageRequest) -> Slice[ShownRow]:
        """Return a page of all rows that the caller may read."""
        return await self.repo.read_page(page, self.fields(), viewer_id=self.viewer_id)

    async def list_own(self, page: PageRequest) -> Slice[ShownRow]:
        """Return a page of the caller's own rows."""
        return await self.repo.read_own_page(page, self.fields(), owner_id=self.caller.user_id)

    async def get(self, public_id: UUID) -> ShownRow:
        """Raises `NotFoundError` if it does not exist, or if the caller may not read it."""
        is_manager = self._caller is not None and self.may_manage()
        viewer_id = None if is_manager else self.viewer_id
        row = await self.repo.read(public_id, self.fields(), viewer_id=viewer_id)
        if row is None:
            raise NotFoundError
        if self._preconditions is not None:
            self._preconditions.check(row)
        return row

    async def create(self, data: BaseModel, **values: Any) -> ShownRow:
        """Create a row of the caller from the fields of `data`, and from further `values`.

        Raises `UnauthorizedError` if the caller's account was deleted meanwhile.
        """
        values = {**data.model_dump(), **values}
        if self._idempotency is None and self._preconditions is None:
            row = await self.repo.insert(self.caller, self.fields(), values)
            if row is not None:
                self._is_finished = True
                return row
        await self.begin()
        return await self.finish(await self.repo.create(owner_id=self.caller.user_id, **values))

    async def update(self, public_id: UUID, data: BaseModel) -> ShownRow:
        """Change the fields that were sent. Raises what `lock` raises."""
        row = await self.lock(public_id)
        return await self.save(row, **data.model_dump(exclude_unset=True))

    async def delete(self, public_id: UUID) -> None:
        """Soft-delete the row. Raises what `lock` raises."""
        row = await self.lock(public_id)
        await self.repo.soft_delete(row)
        await self.repo.commit()

    async def restore(self, public_id: UUID) -> ShownRow:
        """Undo `delete`. Do nothing if the row is not deleted. Raises what `lock` raises."""
        await self.begin()
        # Lock the owner first, as the deletion of the account does: the two cannot deadlock.
        if not await self.repo.keep_owner(public_id):
            raise NotFoundError
        row = await self.lock(public_id, include_deleted=True)
        await self.repo.restore(row)
        return await self.finish(row)

    async def begin(self) -> None:
        """Begin a use case: a repeated request ends here, with the response to the first one.

        `create` and `lock` call it. Call it before a rule that the first request may have changed,
        such as a quota. Raises what `IdempotencyService.begin` raises.
        """
        if not self.repo.session.in_transaction():
            # At first, and after a rollback: `@retried` starts again.
            self._has_begun = self._has_locked = False
        if self._idempotency is not None and not self._has_begun:
            await self._idempotency.begin()
            self._has_begun = True

    async def lock(self, public_id: UUID, *, include_deleted: bool = False) -> ModelType:
        """Lock a row that the caller may change, until the end of the transaction; return it.

        The lock serializes concurrent changes: the second request sees the result of the first.
        Raises `NotFoundError` if it does not exist or the caller may not change it, and
        `PreconditionFailedError` for a request with an outdated `If-Match`.
        """
        await self.begin()
        row = await self.repo.lock_row(public_id, include_deleted=include_deleted)
        if row is None or not self.may_change(row):
            raise NotFoundError
        if self._preconditions is not None:
            self._preconditions.check(await self.repo.shown(row, self.fields()))
        self._has_locked = True
        return row

    async def save(self, row: ModelType, /, **values: Any) -> ShownRow:
        """Set these columns of a locked row, commit, and return the row as responses show it."""
        await self.repo.update(row, **values)
        return await self.finish(row)

    async def finish(self, row: ModelType) -> ShownRow:
        """Commit, and return the row as responses show it: the last step of a use case.

        Store the response for the request's `Idempotency-Key`, if it has one. Raises
        `PreconditionFailedError` for an `If-Match` if no row was locked: it would be ignored.
        """
        conditions = self._preconditions
        if conditions is not None and conditions.if_match is not None and not self._has_locked:
            raise PreconditionFailedError("The request changes no object that has an ETag.")
        shown = await self.repo.shown(row, self.fields())
        if self._idempotency is not None:
            await self._idempotency.complete(shown)
        await self.repo.commit()
        self._is_finished = True
        return shown

    def require_finished(self) -> None:
        """Raise `RuntimeError` if `finish` was not called. `service_for_caller` calls it for POST.

        The effect of a repeated `Idempotency-Key` would otherwise happen twice.
        """
        if not self._is_finished:
            raise RuntimeError(
                f"a POST of {type(self).__name__} has committed without save() or finish(): its "
                "Idempotency-Key was ignored; end the use case with one of them"
            )

    def may_change(self, row: ModelType) -> bool:
        """Return whether the caller may change or delete the row: its owner may."""
        owned: Any = row
        return bool(owned.owner_id == self.caller.user_id) or self.may_manage()

    def may_manage(self) -> bool:
        """Return whether the caller may read and change the rows of all users: by default, no."""
        return False

    @classmethod
    def fields(cls) -> Sequence[str]:
        """Return the attributes of a row that the response shows."""
        return attributes_of(cls.response)
