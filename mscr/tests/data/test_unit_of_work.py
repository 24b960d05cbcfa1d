"""One use case, one transaction: all or nothing, with retries after deadlocks and conflicts."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from examples.catalogue.db.session import Database
from examples.catalogue.models.item import Item
from examples.catalogue.models.kit_tables import RefreshToken
from examples.catalogue.models.user import User
from examples.catalogue.repositories.item_repository import ItemRepository
from examples.catalogue.repositories.user_repository import UserRepository
from examples.catalogue.tests.api import Api
from mscr.core.exceptions import EmailTakenError
from mscr.db import retry
from mscr.db.after_commit import after_commit
from mscr.db.retry import MAX_TRIES
from mscr.endpoints.database import DbSession
from mscr.services.unit_of_work import retried
from mscr.testing.api import Account
from mscr.testing.databases import checked_out, on_postgresql, on_sqlite
from mscr.testing.problems import problem
from mscr.testing.table_rows import all_rows
from mscr.testing.waiting import connection_to, is_waiting, until
from mscr.tests.data.conftest import make_user
from mscr.tests.data.faults import writers_locked_out

# Fail only the first time: a rollback does not undo a sequence.
DEADLOCK_ONCE = (
    "CREATE SEQUENCE tries",
    """CREATE FUNCTION deadlock_once() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF nextval('tries') = 1 THEN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END IF;
      RETURN NULL;
    END $$""",
    "CREATE TRIGGER deadlock BEFORE UPDATE ON items EXECUTE FUNCTION deadlock_once()",
)


class Meeting:
    """A barrier at which the first two wait for each other. Later arrivals pass."""

    def __init__(self) -> None:
        self._barrier = asyncio.Barrier(2)
        self._arrived = 0

    async def arrive(self) -> None:
        self._arrived += 1
        if self._arrived <= 2:
            await self._barrier.wait()


class Signing:
    """A use case that appends a letter to the names of users, one after the other."""

    def __init__(self, user_repo: UserRepository, meeting: Meeting) -> None:
        self.user_repo = user_repo
        self._meeting = meeting

    @retried
    async def sign_both(self, letter: str, *public_ids: str) -> None:
        for public_id in public_ids:
            user = await self.user_repo.lock(public_id=public_id)
            assert user is not None
            await self.user_repo.update(user, full_name=f"{user.full_name or ''}{letter}")
            await self._meeting.arrive()
        await self.user_repo.commit()

    @retried
    async def sign_unlocked(self, letter: str, public_id: str) -> None:
        isolation = {"isolation_level": "REPEATABLE READ"}
        _ = await self.user_repo.session.connection(execution_options=isolation)
        user = await self.user_repo.get_by_public_id(public_id)
        assert user is not None
        await self._meeting.arrive()
        await self.user_repo.update(user, full_name=f"{user.full_name or ''}{letter}")
        await self.user_repo.commit()


Step = Callable[[AsyncSession], Awaitable[None]]


class Trials:
    """A use case that runs a step and then fails, a given number of times."""

    def __init__(
        self, session: AsyncSession, step: Step, *, sqlstate: str = "40001", failures: int = 1
    ) -> None:
        self.user_repo = UserRepository(session)
        self._step = step
        self._sqlstate = sqlstate
        self._failures = failures
        self.tries = 0

    @retried
    async def run(self) -> str:
        self.tries += 1
        await self._step(self.user_repo.session)
        if self.tries <= self._failures:
            raise DBAPIError("", None, _ConflictError(self._sqlstate))
        return "done"


class _ConflictError(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__()
        self.sqlstate = sqlstate


async def do_nothing(_: AsyncSession) -> None:
    pass


async def names(database: Database) -> list[str | None]:
    async with database.read_sessions() as session:
        return list(await session.scalars(select(User.full_name).order_by(User.id)))


async def delete_account(api: Api, account: Account) -> Any:
    body = {"password": account.password}
    return await api.client.request(
        "DELETE", "/api/v1/users/me", json=body, headers=account.headers
    )


# --- all or nothing


async def test_a_use_case_that_fails_at_its_end_leaves_nothing_in_any_table(
    api: Api, database: Database
) -> None:
    """RL9: users, items and sessions are written before the audit log refuses its event."""
    account = await api.register()
    await api.create_item(account)
    before = await all_rows(database)

    await execute(database, "ALTER TABLE audit_events RENAME TO elsewhere")
    response = await delete_account(api, account)
    await execute(database, "ALTER TABLE elsewhere RENAME TO audit_events")

    problem(response, 500, "internal_error")
    assert await all_rows(database) == before


async def test_a_failure_within_a_savepoint_undoes_nothing_else(
    session: AsyncSession, owner: User, database: Database
) -> None:
    users, items = UserRepository(session), ItemRepository(session)
    await items.create(owner_id=owner.id, title="Kept")
    with suppress(LookupError):
        async with items.savepoint():
            await items.create(owner_id=owner.id, title="Undone")
            await users.update(owner, full_name="Undone")
            raise LookupError
    await users.commit()

    assert await names(database) == [None]
    assert await titles(database) == ["Kept"]


async def test_a_refused_account_keeps_the_earlier_work_of_its_transaction(
    session: AsyncSession, owner: User, database: Database
) -> None:
    users, items = UserRepository(session), ItemRepository(session)
    await items.create(owner_id=owner.id, title="Kept")
    with pytest.raises(EmailTakenError):
        await users.create_account(email="b@x.org", password_hash="!", public_id=owner.public_id)
    await users.commit()

    assert await titles(database) == ["Kept"]


async def titles(database: Database) -> list[str]:
    async with database.read_sessions() as session:
        return list(await session.scalars(select(Item.title)))


async def execute(database: Database, *statements: str) -> None:
    async with database.engine.begin() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)


# --- retries


@on_postgresql
async def test_both_requests_of_a_deadlock_succeed(
    app: FastAPI, api: Api, database: Database
) -> None:
    """RC5: the database ends one of them, which is retried and reads what the other wrote."""
    one, other = await api.register(), await api.register()
    meeting = Meeting()

    @app.post("/sign/{letter}/{first}/{second}")
    async def sign(letter: str, first: str, second: str, db: DbSession) -> None:
        await Signing(UserRepository(db), meeting).sign_both(letter, first, second)

    ways = [f"a/{one.public_id}/{other.public_id}", f"b/{other.public_id}/{one.public_id}"]
    answers = await asyncio.gather(*(api.client.post(f"/sign/{way}") for way in ways))

    assert [answer.status_code for answer in answers] == [200, 200]
    first, second = await names(database)
    assert first == second
    assert sorted(first or "") == ["a", "b"]


@on_postgresql
async def test_concurrent_changes_of_a_row_that_both_have_read_are_both_kept(
    database: Database, owner: User
) -> None:
    """RC5: without locks, by the isolation level."""
    meeting = Meeting()

    async def sign(letter: str) -> None:
        async with database.sessions() as session:
            await Signing(UserRepository(session), meeting).sign_unlocked(letter, owner.public_id)

    await asyncio.gather(sign("a"), sign("b"))

    [name] = await names(database)
    assert sorted(name or "") == ["a", "b"]


@on_sqlite
@pytest.mark.settings(DATABASE_LOCK_TIMEOUT_SECONDS=0.1)
async def test_a_use_case_is_retried_when_sqlite_is_locked(
    session: AsyncSession, database_url: str
) -> None:
    """RC5."""
    async with AsyncExitStack() as lock:
        await lock.enter_async_context(writers_locked_out(database_url))

        async def write(own: AsyncSession) -> None:
            if trials.tries == 2:
                await lock.aclose()
            own.add(make_user("a@example.com"))
            await own.commit()

        trials = Trials(session, write, failures=0)
        assert await trials.run() == "done"

    assert trials.tries == 2


@on_postgresql
async def test_the_deletion_of_an_account_is_retried_after_a_deadlock(
    api: Api, database: Database
) -> None:
    """RC5."""
    account, other = await api.register(), await api.register()
    item = await api.create_item(account, status="active")
    await execute(database, *DEADLOCK_ONCE)

    assert (await delete_account(api, account)).status_code == 204

    path = f"/api/v1/items/{item['public_id']}"
    problem(await api.client.get(path, headers=other.headers), 404, "not_found")


@on_postgresql
async def test_revoking_other_sessions_waits_for_a_login_before_locking_any(
    api: Api, database_url: str
) -> None:
    """RC5: otherwise each transaction would lock sessions that the other needs: a deadlock."""
    account = await api.register()
    async with connection_to(database_url) as login, connection_to(database_url) as observer:
        await login.exec_driver_sql("BEGIN")
        await login.execute(select(User.id).with_for_update(key_share=True))
        path = "/api/v1/auth/sessions"
        ending = asyncio.create_task(api.client.delete(path, headers=account.headers))
        await until(lambda: is_waiting(observer))
        await login.execute(select(RefreshToken.id).with_for_update(nowait=True))
        await login.exec_driver_sql("COMMIT")

    assert (await ending).status_code == 204


# --- no retries


async def test_retries_are_limited(
    session: AsyncSession,
) -> None:
    trials = Trials(session, do_nothing, failures=MAX_TRIES)

    with pytest.raises(DBAPIError):
        await trials.run()

    assert trials.tries == MAX_TRIES


async def test_after_commit_callbacks_of_a_failed_try_are_dropped(
    session: AsyncSession,
) -> None:
    calls: list[int] = []

    class Told(Trials):
        @retried
        async def run(self) -> str:
            self.tries += 1
            after_commit(self.user_repo.session, lambda: calls.append(self.tries))
            if self.tries <= self._failures:
                raise DBAPIError("", None, _ConflictError(self._sqlstate))
            await self.user_repo.commit()
            return "done"

    assert await Told(session, do_nothing).run() == "done"
    assert calls == [2]


async def test_the_last_try_may_succeed(session: AsyncSession) -> None:
    assert await Trials(session, do_nothing, failures=MAX_TRIES - 1).run() == "done"


async def test_nothing_is_retried_after_a_commit(session: AsyncSession, database: Database) -> None:
    async def commit(own: AsyncSession) -> None:
        own.add(make_user("once@example.com"))
        await own.commit()

    trials = Trials(session, commit)
    with pytest.raises(DBAPIError):
        await trials.run()

    assert trials.tries == 1
    assert await names(database) == [None]


async def test_the_end_of_a_savepoint_is_no_commit(
    session: AsyncSession, owner: User, database: Database
) -> None:
    """The second try has no row of the first, and no connection is held in between."""
    held, known = [], []

    async def write_part(own: AsyncSession) -> None:
        held.append(checked_out(database))
        known.append(owner in own)
        async with UserRepository(own).savepoint():
            own.add(make_user("once@example.com"))

    trials = Trials(session, write_part)
    assert await trials.run() == "done"
    await session.commit()

    assert (trials.tries, held, known) == (2, [0, 0], [True, False])
    assert len(await names(database)) == 2  # the owner and the user that was added once


async def test_part_of_a_larger_transaction_is_not_retried_alone(
    session: AsyncSession,
) -> None:
    session.add(make_user("before@example.com"))
    await session.flush()
    trials = Trials(session, do_nothing)

    with pytest.raises(DBAPIError):
        await trials.run()

    assert trials.tries == 1


async def test_another_error_of_the_database_is_not_retried(session: AsyncSession) -> None:
    """A lock timeout: the client has waited long enough."""
    trials = Trials(session, do_nothing, sqlstate="55P03")

    with pytest.raises(DBAPIError):
        await trials.run()

    assert trials.tries == 1


async def test_nothing_is_retried_when_the_first_try_took_too_long(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "LAST_TRY_WITHIN", timedelta(seconds=-1))
    trials = Trials(session, do_nothing)

    with pytest.raises(DBAPIError):
        await trials.run()

    assert trials.tries == 1


async def test_repositories_of_two_sessions_are_no_unit_of_work(database: Database) -> None:
    async with database.sessions() as one, database.sessions() as other:
        trials = Trials(one, do_nothing)
        vars(trials)["item_repo"] = ItemRepository(other)

        with pytest.raises(TypeError, match="Trials share no database session"):
            await trials.run()
