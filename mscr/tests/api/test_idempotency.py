"""Idempotency keys: a repeated request is executed once and gets the first response again."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, NamedTuple

import pytest
from fastapi import FastAPI
from httpx2 import HTTPError, Response
from pydantic import BaseModel
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from examples.catalogue.db.session import Database
from examples.catalogue.models.item import Item
from examples.catalogue.models.kit_tables import IdempotencyKey, RefreshToken
from examples.catalogue.models.tables import TABLES
from examples.catalogue.models.user import User
from examples.catalogue.project import project
from examples.catalogue.repositories.user_repository import UserRepository
from examples.catalogue.schemas.item_schemas import ItemResponse
from examples.catalogue.tests.api import Api
from mscr.core.idempotency import KEY_RULE, KeyScope
from mscr.endpoints.database import DbSession
from mscr.endpoints.idempotency import idempotency_of
from mscr.http.representation import Representation
from mscr.http.responses import SuccessResponse, success_response
from mscr.models.base import utcnow
from mscr.repositories.idempotency_key_repository import IdempotencyKeyRepository
from mscr.schemas.base import ResponseSchema
from mscr.services.idempotency_service import IdempotencyService
from mscr.testing.api import PASSWORD, Account
from mscr.testing.databases import on_postgresql, on_sqlite
from mscr.testing.problems import assert_unauthorized, faulty_fields, problem
from mscr.testing.processes import app_processes
from mscr.testing.table_rows import all_rows
from mscr.testing.waiting import connection_to, until
from mscr.tests.data.faults import assert_unavailable, writers_locked_out

ITEMS = "/api/v1/items"
REPLAYED = "idempotency-replayed"
KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"


async def create(api: Api, account: Account, key: str = KEY, **body: Any) -> Response:
    headers = account.headers | {"Idempotency-Key": key}
    return await api.client.post(ITEMS, json=body or {"title": "A thing"}, headers=headers)


async def count(database: Database, model: type[Item | IdempotencyKey]) -> int:
    async with database.read_sessions() as session:
        return await session.scalar(select(func.count()).select_from(model)) or 0


async def test_a_repeated_request_is_replayed_and_not_executed_again(
    api: Api, database: Database
) -> None:
    """RC3."""
    account = await api.register()
    first = await create(api, account)
    # Deleted or not: a replay repeats the first response and does not show the current state.
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


async def test_without_a_key_each_request_is_executed(api: Api, database: Database) -> None:
    account = await api.register()
    for _ in range(2):
        await api.create_item(account)

    assert await count(database, Item) == 2
    assert await count(database, IdempotencyKey) == 0


async def test_a_key_reused_for_another_request_is_422(api: Api, database: Database) -> None:
    """RC3: a key with another body or another URL."""
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


async def test_keys_of_different_callers_are_independent(api: Api) -> None:
    """RC3, AZ2."""
    first, second = await api.register(), await api.register()

    answers = [await create(api, account) for account in (first, second)]

    assert [REPLAYED in answer.headers for answer in answers] == [False, False]
    owners = [answer.json()["data"]["owner_public_id"] for answer in answers]
    assert owners == [first.public_id, second.public_id]


async def test_a_replay_needs_a_valid_session(api: Api) -> None:
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


async def test_the_database_stores_no_plain_key(api: Api, database: Database) -> None:
    await create(api, await api.register())

    assert KEY not in repr(await all_rows(database))


@pytest.mark.settings(DATABASE_LOCK_TIMEOUT_SECONDS=0.3)
async def test_a_failed_request_stores_nothing_and_succeeds_when_repeated(
    api: Api, database: Database, database_url: str
) -> None:
    """RC3: whether the request was refused or the database was locked."""
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
    """Hold the lock of the key, as a process does during the first request with it."""
    async with database.sessions() as session:
        user = await session.scalar(select(User.id).where(User.public_id == account.public_id))
        assert user is not None
        scope = KeyScope.of(user, "create_item", KEY)
        assert await IdempotencyKeyRepository(session, TABLES).try_lock(scope)
        yield


@on_postgresql
async def test_while_the_first_is_in_flight_the_second_is_409_at_once(
    api: Api, app: FastAPI
) -> None:
    """RC3: other keys, and the same key of another account, do not wait."""
    account, other = await api.register(), await api.register()
    async with in_flight(app.state.database, account):
        refused = await create(api, account)
        problem(refused, 409, "idempotency_key_in_use")
        assert int(refused.headers["retry-after"]) > 0
        assert (await create(api, account, "another")).status_code == 201
        assert (await create(api, other)).status_code == 201

    # The first request ended without a commit, so the key is free.
    assert (await create(api, account)).status_code == 201


@on_sqlite
async def test_on_sqlite_the_second_waits_for_the_first(api: Api, database: Database) -> None:
    """RC3: SQLite has one writer at a time."""
    account = await api.register()
    async with in_flight(database, account):
        waiting = asyncio.create_task(create(api, account))
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done

    assert (await waiting).status_code == 201


@pytest.mark.settings(DATABASE_POOL_TIMEOUT_SECONDS=30, DATABASE_LOCK_TIMEOUT_SECONDS=30)
async def test_one_of_20_concurrent_requests_with_one_key_is_executed(
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


async def test_a_process_that_is_killed_before_the_commit_stores_nothing(
    api: Api, database: Database, database_url: str
) -> None:
    """RL9: neither the key nor the item is stored, so a retry succeeds."""
    account = await api.register()
    mortal = "mscr.tests.support.dies_before_commit:app"
    with app_processes(project, 1, database_url, app=mortal) as [process]:
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


async def test_stored_responses_are_deleted_with_the_account(api: Api, database: Database) -> None:
    """Stored responses may hold personal data."""
    account, other = await api.register(), await api.register()
    for owner in (account, other):
        await create(api, owner, title="Call Ada Lovelace")
    body = {"password": PASSWORD}
    await api.client.request("DELETE", "/api/v1/users/me", json=body, headers=account.headers)

    assert await count(database, IdempotencyKey) == 1
    assert REPLAYED in (await create(api, other, title="Call Ada Lovelace")).headers


@asynccontextmanager
async def deletion_of(database: Database, account: Account) -> AsyncIterator[None]:
    """Delete the account in an open transaction: requests still see it as living."""
    async with database.sessions.begin() as session:
        users = UserRepository(session)
        user = await users.lock(public_id=account.public_id)
        assert user is not None
        await users.soft_delete(user)
        yield


async def test_no_response_is_stored_for_an_account_that_is_being_deleted(
    api: Api, database: Database, database_url: str
) -> None:
    """RC3: a request during the deletion waits for it, and then gets 401."""
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
async def test_any_post_route_can_take_a_key(api: Api, app: FastAPI, database: Database) -> None:
    """RC3: also a route that creates nothing; and a key belongs to one operation."""

    @app.post("/echo")
    async def echo(
        data: Echo,
        db: DbSession,
        idempotency: Annotated[IdempotencyService, idempotency_of(Echo)],
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


class Program(NamedTuple):
    user_id: int


@on_sqlite
async def test_a_caller_without_an_access_token_may_send_a_key(
    api: Api, app: FastAPI, database: Database
) -> None:
    """RC3: for example programs with API keys."""
    await api.register()

    async def get_program() -> Program:
        async with database.read_sessions() as session:
            return Program((await session.scalars(select(User.id))).one())

    @app.post("/echo")
    async def echo(
        data: Echo,
        db: DbSession,
        idempotency: Annotated[IdempotencyService, idempotency_of(Echo, caller=get_program)],
    ) -> SuccessResponse[Echo]:
        await idempotency.begin()
        await idempotency.complete(data)
        await db.commit()
        return success_response(data)

    headers = {"Idempotency-Key": KEY}
    answers = [
        await api.client.post("/echo", json={"word": "a"}, headers=headers) for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert [REPLAYED in answer.headers for answer in answers] == [False, True]


def test_an_object_without_a_version_has_no_tag() -> None:
    class Shown(ResponseSchema):
        public_id: str

    headers = Representation(RefreshToken(public_id="x"), Shown).created_headers("/things")

    assert headers == {"Location": "/things/x"}


@on_sqlite
async def test_an_object_is_serialized_once_for_all_that_a_request_needs(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stored response, the condition, the entity tag and the answer have the same JSON."""
    account = await api.register()
    serialized: list[ItemResponse] = []
    serialize = ItemResponse.model_dump_json

    def record(shown: ItemResponse, **options: Any) -> str:
        serialized.append(shown)
        return serialize(shown, **options)

    monkeypatch.setattr(ItemResponse, "model_dump_json", record)
    created = await create(api, account)
    assert len(serialized) == 1

    headers = account.headers | {"If-None-Match": '"other"'}
    found = await api.client.get(created.headers["location"], headers=headers)
    assert (found.status_code, len(serialized)) == (200, 2)
    assert found.content == created.content

    # A change makes another representation of the same object.
    headers = account.headers | {"If-Match": created.headers["etag"]}
    body = {"title": "Changed"}
    changed = await api.client.patch(created.headers["location"], json=body, headers=headers)
    assert (changed.json()["data"]["title"], len(serialized)) == ("Changed", 4)
