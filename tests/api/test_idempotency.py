"""Idempotency-Key: what is sent again is answered again, and done once."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import FastAPI
from httpx2 import HTTPError, Response
from pydantic import BaseModel
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.dependencies import DbSession
from app.core.idempotency import KEY_RULE, KeyScope
from app.core.responses import SuccessResponse, success_response
from app.db.session import Database
from app.models import IdempotencyKey, Item, RefreshToken, User
from app.models.base import utcnow
from app.repositories.idempotency_key_repository import IdempotencyKeyRepository
from app.repositories.user_repository import UserRepository
from app.routers.idempotency import idempotency_of
from app.routers.resource_response import created_headers
from app.services.idempotency_service import IdempotencyService
from tests.data.faults import assert_unavailable, connection_to, until, writers_locked_out
from tests.support.api import PASSWORD, Account, Api
from tests.support.databases import on_postgresql, on_sqlite
from tests.support.problems import assert_unauthorized, faulty_fields, problem
from tests.support.processes import app_processes
from tests.support.table_rows import all_rows

ITEMS = "/api/v1/items"
REPLAYED = "idempotency-replayed"
KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"


async def create(api: Api, account: Account, key: str = KEY, **body: Any) -> Response:
    headers = account.headers | {"Idempotency-Key": key}
    return await api.client.post(ITEMS, json=body or {"title": "A thing"}, headers=headers)


async def count(database: Database, model: type[Item | IdempotencyKey]) -> int:
    async with database.read_sessions() as session:
        return await session.scalar(select(func.count()).select_from(model)) or 0


async def test_what_is_sent_again_is_answered_as_before_and_not_done_again(
    api: Api, database: Database
) -> None:
    """RC3."""
    account = await api.register()
    first = await create(api, account)
    # Whatever became of it: the answer is that to the request, not to the present state.
    await api.client.delete(first.headers["location"], headers=account.headers)

    again = [await create(api, account), await create(api, account, f'"{KEY}"')]

    assert (first.status_code, REPLAYED in first.headers) == (201, False)
    assert first.headers["location"] == f"{ITEMS}/{first.json()['data']['public_id']}"
    for answer in again:
        assert (answer.status_code, answer.content) == (201, first.content)
        assert answer.headers[REPLAYED] == "true"
        for name in ("content-type", "etag", "location"):
            assert answer.headers[name] == first.headers[name]
    assert await count(database, Item) == await count(database, IdempotencyKey) == 1


async def test_without_a_key_each_request_is_done(api: Api, database: Database) -> None:
    account = await api.register()
    for _ in range(2):
        await api.create_item(account)

    assert await count(database, Item) == 2
    assert await count(database, IdempotencyKey) == 0


async def test_the_key_of_another_request_is_422(api: Api, database: Database) -> None:
    """RC3: with another body, or for another address."""
    account = await api.register()
    await create(api, account)

    refused = [
        await create(api, account, title="Another thing"),
        await api.client.post(
            f"{ITEMS}?a=1",
            json={"title": "A thing"},
            headers=account.headers | {"Idempotency-Key": KEY},
        ),
    ]

    for answer in refused:
        problem(answer, 422, "idempotency_key_reused")
    assert await count(database, Item) == 1


async def test_callers_do_not_meet_each_others_keys(api: Api) -> None:
    """RC3, AZ2."""
    first, second = await api.register(), await api.register()

    answers = [await create(api, account) for account in (first, second)]

    assert [REPLAYED in answer.headers for answer in answers] == [False, False]
    owners = [answer.json()["data"]["owner_public_id"] for answer in answers]
    assert owners == [first.public_id, second.public_id]


async def test_a_replay_is_for_whoever_may_ask(api: Api) -> None:
    account = await api.register()
    await create(api, account)
    await api.client.post("/api/v1/auth/logout-all", headers=account.headers)

    assert_unauthorized(await create(api, account))


GOOD_KEYS = [
    "a",
    "!~#",
    KEY.upper(),
    "k" * 255,
    '"with a space"',
    r'"\"quoted\\"',
    '"' + "k" * 253 + '"',
]
BAD_KEYS = [
    *("", '"', '""', '"a', 'a"', 'a"b', "a b", "a\\b", '"a"b"', r'"a\b"', '"a\\"', "k" * 256),
    *("é", "a\x7f", "a\tb", '"a";p=1', '"a", "b"', "a\x00"),
]


@on_sqlite
async def test_a_key_is_a_word_or_a_quoted_string(api: Api, database: Database) -> None:
    account = await api.register()

    for key in GOOD_KEYS:
        for replayed in (False, True):
            answer = await create(api, account, key)
            assert (answer.status_code, REPLAYED in answer.headers) == (201, replayed), key
    written = await count(database, Item)
    for key in BAD_KEYS:
        name = (b"idempotency-key", key.encode("latin-1"))
        sent = [(k.encode(), v.encode()) for k, v in account.headers.items()]
        refused = await api.client.post(ITEMS, json={"title": "A"}, headers=[*sent, name])
        assert faulty_fields(refused) == [["header", "Idempotency-Key"]], key
        assert refused.json()["errors"][0]["msg"] == KEY_RULE
    twice = [*account.headers.items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
    refused = await api.client.post(ITEMS, json={"title": "A"}, headers=twice)
    assert faulty_fields(refused) == [["header", "Idempotency-Key"]]
    assert await count(database, Item) == written == len(GOOD_KEYS)


def test_escapes_are_not_part_of_the_key() -> None:
    assert KeyScope.of(1, "a", r'"\\\""') == KeyScope.of(1, "a", '"\\\\\\""')
    assert KeyScope.of(1, "a", '"a"') == KeyScope.of(1, "a", "a")
    assert KeyScope.of(1, "a", r'"\\"') != KeyScope.of(1, "a", r'"\""')


async def test_the_database_has_no_key_that_could_be_sent(api: Api, database: Database) -> None:
    await create(api, await api.register())

    assert KEY not in repr(await all_rows(database))


@pytest.mark.settings(DATABASE_LOCK_TIMEOUT_SECONDS=0.3)
async def test_what_failed_left_nothing_and_succeeds_when_it_is_repeated(
    api: Api, database: Database, database_url: str
) -> None:
    """RC3: refused, or no database to write to."""
    account = await api.register()
    assert faulty_fields(await create(api, account, title="")) == [["body", "title"]]
    async with writers_locked_out(database_url):
        assert_unavailable(await create(api, account))
    assert await count(database, IdempotencyKey) == 0

    answer = await create(api, account)

    assert (answer.status_code, REPLAYED in answer.headers) == (201, False)
    assert await count(database, Item) == 1


@asynccontextmanager
async def in_flight(database: Database, account: Account) -> AsyncIterator[None]:
    """As if another process were in the midst of the first request with the key."""
    async with database.sessions() as session:
        user = await session.scalar(select(User.id).where(User.public_id == account.public_id))
        assert user is not None
        scope = KeyScope.of(user, "create_item", KEY)
        assert await IdempotencyKeyRepository(session).try_lock(scope)
        yield


@on_postgresql
async def test_while_the_first_is_in_flight_the_second_is_409_at_once(
    api: Api, app: FastAPI
) -> None:
    """RC3: other keys, and the same of others, wait for nothing."""
    account, other = await api.register(), await api.register()
    async with in_flight(app.state.database, account):
        refused = await create(api, account)
        problem(refused, 409, "idempotency_key_in_use")
        assert int(refused.headers["retry-after"]) > 0
        assert (await create(api, account, "another")).status_code == 201
        assert (await create(api, other)).status_code == 201

    # It failed, and its transaction ended.
    assert (await create(api, account)).status_code == 201


@on_sqlite
async def test_on_sqlite_the_second_waits_for_the_first(api: Api, database: Database) -> None:
    """RC3: there, every write does."""
    account = await api.register()
    async with in_flight(database, account):
        waiting = asyncio.create_task(create(api, account))
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done

    assert (await waiting).status_code == 201


@pytest.mark.settings(DATABASE_POOL_TIMEOUT_SECONDS=30, DATABASE_LOCK_TIMEOUT_SECONDS=30)
async def test_of_20_parallel_requests_with_one_key_one_is_done(
    api: Api, database: Database
) -> None:
    """RC3."""
    account = await api.register()
    for turn in range(1, 4):
        key = secrets.token_hex()
        answers = await asyncio.gather(*(create(api, account, key) for _ in range(20)))

        done = [answer for answer in answers if answer.status_code == 201]
        assert {answer.status_code for answer in answers} <= {201, 409}
        assert len([answer for answer in done if REPLAYED not in answer.headers]) == 1
        assert len({answer.content for answer in done}) == 1
        assert await count(database, Item) == await count(database, IdempotencyKey) == turn


async def test_a_process_that_is_killed_before_the_commit_leaves_nothing(
    api: Api, database: Database, database_url: str
) -> None:
    """RL9: neither the key nor the effect; whoever sends it again has it done."""
    account = await api.register()
    mortal = "tests.support.dies_before_commit:app"
    with app_processes(1, database_url, app=mortal) as [process]:
        async with process.client() as client:
            with pytest.raises(HTTPError):
                await create(Api(client, database), account)
        process.wait_until_gone()

    assert await count(database, Item) == await count(database, IdempotencyKey) == 0
    answer = await create(api, account)
    assert (answer.status_code, REPLAYED in answer.headers) == (201, False)


async def test_an_expired_key_is_a_new_one(api: Api, database: Database) -> None:
    account = await api.register()
    first = await create(api, account)
    async with database.sessions.begin() as session:
        await session.execute(update(IdempotencyKey).values(expires_at=utcnow()))

    second = await create(api, account, title="Another thing")

    assert (second.status_code, REPLAYED in second.headers) == (201, False)
    assert second.content != first.content
    assert (await create(api, account, title="Another thing")).content == second.content
    assert await count(database, IdempotencyKey) == 1


async def test_the_answers_go_with_the_account(api: Api, database: Database) -> None:
    """They may hold whatever its owner wrote."""
    account, other = await api.register(), await api.register()
    for owner in (account, other):
        await create(api, owner, title="Call Ada Lovelace")
    body = {"password": PASSWORD}
    await api.client.request("DELETE", "/api/v1/users/me", json=body, headers=account.headers)

    assert await count(database, IdempotencyKey) == 1
    assert REPLAYED in (await create(api, other, title="Call Ada Lovelace")).headers


@asynccontextmanager
async def deletion_of(database: Database, account: Account) -> AsyncIterator[None]:
    """As if another process were about to commit it: the caller is still let in."""
    async with database.sessions.begin() as session:
        users = UserRepository(session)
        user = await users.lock(public_id=account.public_id)
        assert user is not None
        await users.soft_delete(user)
        yield


async def test_no_answer_is_kept_for_an_account_that_is_being_deleted(
    api: Api, database: Database, database_url: str
) -> None:
    """RC3: whoever comes in before the deletion is through waits for it, and is nobody then."""
    account = await api.register()
    async with deletion_of(database, account), connection_to(database_url) as looking:
        waiting = asyncio.create_task(create(api, account))
        if database.engine.dialect.name == "postgresql":
            await until(lambda: is_waiting_for_a_lock(looking))

    assert_unauthorized(await waiting)
    assert await count(database, Item) == await count(database, IdempotencyKey) == 0


async def is_waiting_for_a_lock(connection: AsyncConnection) -> bool:
    statement = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return bool(await connection.scalar(text(statement)))


class Echo(BaseModel):
    word: str


@on_sqlite
async def test_any_post_takes_it(api: Api, app: FastAPI, database: Database) -> None:
    """RC3: also one that creates nothing; and a key is of one operation."""
    echo_idempotency = Annotated[IdempotencyService, idempotency_of(Echo)]

    @app.post("/echo")
    async def echo(
        data: Echo, db: DbSession, idempotency: echo_idempotency
    ) -> SuccessResponse[Echo]:
        await idempotency.begin()
        await idempotency.complete(data)
        await db.commit()
        return success_response(data)

    account = await api.register()
    await create(api, account)
    headers = account.headers | {"Idempotency-Key": KEY}
    answers = [
        await api.client.post("/echo", json={"word": "a"}, headers=headers) for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert [REPLAYED in answer.headers for answer in answers] == [False, True]
    assert "location" not in answers[1].headers
    assert answers[1].content == answers[0].content
    assert await count(database, IdempotencyKey) == 2


def test_what_has_no_version_has_no_tag() -> None:
    headers = created_headers(RefreshToken(public_id="x"), Echo(word="a"), "/things")

    assert headers == {"Location": "/things/x"}
