"""A use case is one unit of work: all changes of its repositories are committed, or none.

They share a session, so nothing has to be opened for that. When the database rolls a transaction
back in favour of another one (deadlock, write conflict), the use case is not at fault: retry it.
"""

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from mscr.db.retry import retry, session_of

P = ParamSpec("P")
ServiceType = TypeVar("ServiceType")
T = TypeVar("T")


def retried(
    use_case: Callable[Concatenate[ServiceType, P], Awaitable[T]],
) -> Callable[Concatenate[ServiceType, P], Coroutine[Any, Any, T]]:
    """Decorate a service's method that is retried after a deadlock or a write conflict.

    Warning: it must have no effect outside its transaction: no mail, no counter, no request to
    others, and no write by a `PreparedStatement`. No argument may be a row that it changes.

    A retry starts from the beginning, in the same session, and reads everything again. After a
    commit, or as part of a larger transaction, the method is tried once.
    """

    @wraps(use_case)
    async def run(service: ServiceType, /, *args: P.args, **kwargs: P.kwargs) -> T:
        session = session_of(service)
        work = partial(use_case, service, *args, **kwargs)
        # A retry would roll back the earlier work in this transaction, and not repeat it.
        return await (work() if session.in_transaction() else retry(session, work))

    return run
