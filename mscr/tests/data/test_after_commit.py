"""AU2: after-commit callbacks are dropped with the work that they announce."""

from functools import partial

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from examples.catalogue.models.item import Item
from examples.catalogue.models.user import User
from mscr.db.after_commit import after_commit
from mscr.tests.data.conftest import make_user


class Undone(Exception):  # noqa: N818  # raised by these tests only
    pass


async def undo(session: AsyncSession, calls: list[str]) -> None:
    """Register a callback in a savepoint, and roll the savepoint back."""
    async with session.begin_nested():
        announce(session, calls, "undone")
        raise Undone


async def undo_two(session: AsyncSession, calls: list[str]) -> None:
    async with session.begin_nested():
        async with session.begin_nested():
            announce(session, calls, "within")
        raise Undone


async def add_twice(session: AsyncSession, calls: list[str], email: str) -> None:
    async with session.begin_nested():
        announce(session, calls, "undone")
        session.add(make_user(email))
        await session.flush()


def announce(session: AsyncSession, calls: list[str], name: str) -> None:
    after_commit(session, partial(calls.append, name))


async def test_a_rolled_back_savepoint_drops_its_own_callbacks_only(
    session: AsyncSession, owner: User
) -> None:
    calls: list[str] = []
    announce(session, calls, "before")
    with pytest.raises(Undone):
        await undo(session, calls)
    async with session.begin_nested():
        announce(session, calls, "kept")
    announce(session, calls, "after")
    assert calls == []
    await session.commit()

    assert calls == ["before", "kept", "after"]


async def test_a_rolled_back_savepoint_drops_the_first_callback_of_a_session(
    session: AsyncSession, owner: User
) -> None:
    calls: list[str] = []
    with pytest.raises(Undone):
        await undo(session, calls)
    await session.commit()

    assert calls == []


async def test_a_rolled_back_savepoint_drops_the_callbacks_of_savepoints_within_it(
    session: AsyncSession, owner: User
) -> None:
    calls: list[str] = []
    announce(session, calls, "before")
    with pytest.raises(Undone):
        await undo_two(session, calls)
    await session.commit()

    assert calls == ["before"]


async def test_a_failed_flush_drops_the_callbacks_of_its_savepoint_only(
    session: AsyncSession, owner: User
) -> None:
    calls: list[str] = []
    announce(session, calls, "before")
    with pytest.raises(IntegrityError):
        await add_twice(session, calls, owner.email)
    session.add(Item(title="Milk", owner_id=owner.id))
    await session.commit()

    assert calls == ["before"]


async def test_callbacks_run_once_after_a_commit_and_never_after_a_rollback(
    session: AsyncSession, owner: User
) -> None:
    calls: list[str] = []
    for name, end in (
        ("rolled back", session.rollback),
        ("closed", session.close),
        ("committed", session.commit),
        ("once more", session.rollback),
    ):
        announce(session, calls, name)
        await end()
        await session.commit()

    assert calls == ["committed"]
