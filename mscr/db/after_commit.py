"""Callbacks after a commit, for effects that must not show before the data is committed."""

from collections.abc import Callable
from typing import Final

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

_WAITING: Final = "after_commit"


def after_commit(session: AsyncSession, call: Callable[[], None]) -> None:
    """Call `call` once, after the database session's transaction is committed.

    It is dropped if the transaction, or a savepoint that is open now, is rolled back.
    """
    if not session.in_transaction():
        session.sync_session.begin()
    waiting: _WaitingCalls | None = session.info.get(_WAITING)
    if waiting is None:
        waiting = session.info[_WAITING] = _WaitingCalls(session.sync_session)
    waiting.calls.append(call)


class _WaitingCalls:
    """The pending callbacks of one database session, in order: a savepoint's come last."""

    def __init__(self, session: Session) -> None:
        self.calls: list[Callable[[], None]] = []
        # How many calls were pending when each savepoint began. A savepoint from before this
        # object is missing: it began with none.
        self._before: dict[SessionTransaction, int] = {}
        self._committed: SessionTransaction | None = None
        event.listen(session, "after_transaction_create", self._begin)
        event.listen(session, "after_commit", self._commit)
        event.listen(session, "after_transaction_end", self._end)

    def _begin(self, _: Session, transaction: SessionTransaction) -> None:
        if transaction.nested:
            self._before[transaction] = len(self.calls)

    def _commit(self, session: Session) -> None:
        # SQLAlchemy also fires this event when a savepoint is released.
        self._committed = session.get_nested_transaction() or session.get_transaction()

    def _end(self, _: Session, transaction: SessionTransaction) -> None:
        is_committed = transaction is self._committed
        if transaction.nested:
            before = self._before.pop(transaction, 0)
            if not is_committed:
                del self.calls[before:]
        elif transaction.parent is None:
            calls, self.calls = self.calls, []
            for call in calls if is_committed else ():
                call()
