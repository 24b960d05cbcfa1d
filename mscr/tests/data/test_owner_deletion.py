"""Requests of an account that is deleted while they run leave nothing behind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from fastapi import FastAPI
from httpx2 import Response
from sqlalchemy import ForeignKey, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from examples.catalogue.core.permissions import allows
from examples.catalogue.db.session import Database
from examples.catalogue.models.article import Article
from examples.catalogue.models.board import Board
from examples.catalogue.models.item import Item
from examples.catalogue.models.note import Note
from examples.catalogue.models.order import Order
from examples.catalogue.models.tables import TABLES
from examples.catalogue.models.tag import Tag
from examples.catalogue.models.user import User
from examples.catalogue.repositories.user_repository import UserRepository
from examples.catalogue.tests.api import Api
from examples.catalogue.tests.test_orders import BODY as ORDER
from mscr.core.exceptions import UnauthorizedError
from mscr.core.security.jwt import TokenClaims
from mscr.core.security.principal import Principal
from mscr.endpoints.callers import get_principal
from mscr.models.account_rows import AccountRows
from mscr.repositories.owned_repository import OwnedRepository
from mscr.repositories.owned_row_repository import OwnedRowRepository
from mscr.testing.api import Account
from mscr.testing.databases import on_postgresql
from mscr.testing.problems import problem
from mscr.testing.waiting import connection_to, until
from mscr.tests.api.test_idempotency import is_waiting_for_a_lock

ITEMS = "/api/v1/items"
OWNED = {Article, Board, Item, Note, Order, Tag}


@asynccontextmanager
async def deletion_of(account: Account, database: Database) -> AsyncIterator[None]:
    """Delete the account in a transaction that commits at the end of the block."""
    async with database.sessions.begin() as session:
        users = UserRepository(session)
        user = await users.lock(public_id=account.public_id)
        assert user is not None
        await users.soft_delete(user)
        await OwnedRowRepository(session, TABLES).delete(user.id)
        yield


async def let_in(account: Account, app: FastAPI, database: Database) -> None:
    """Authenticate all requests as this account, as if they had been before its deletion."""
    async with database.read_sessions() as session:
        user = (await session.scalars(select(User).filter_by(public_id=account.public_id))).one()
    unknown = dict.fromkeys(("iss", "aud", "sid", "jti"), "")
    claims = TokenClaims(**unknown, sub=account.public_id, iat=0, exp=0)
    principal = Principal(claims, user.id, user, datetime.now(UTC), allows)
    app.dependency_overrides[get_principal] = lambda: principal


async def rows_left(database: Database) -> int:
    async with database.read_sessions() as session:
        living = [
            await session.scalar(select(func.count()).select_from(m).where(m.is_deleted.is_(False)))
            for m in OWNED
        ]
    return sum(count or 0 for count in living)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (ITEMS, {"json": {"title": "A thing", "status": "active", "tags": ["home"]}}),
        (ITEMS, {"json": {"title": "A thing", "status": "active"}}),
        ("/api/v1/tags", {"json": {"name": "home"}}),
        ("/api/v1/notes", {"json": {"text": "Buy milk"}}),
        ("/api/v1/orders", {"json": ORDER}),
    ],
    ids=["item", "plain item", "tag", "note", "order"],
)
async def test_nothing_is_created_for_a_concurrently_deleted_account(
    api: Api, app: FastAPI, database: Database, path: str, body: dict[str, Any]
) -> None:
    """AZ5."""
    account = await api.register()
    async with deletion_of(account, database):
        pass
    await let_in(account, app, database)

    problem(await api.client.post(path, **body), 401, "unauthorized")
    assert await rows_left(database) == 0


class OtherBase(DeclarativeBase):
    """A base with tables of its own, which no migration and no other test sees."""


class Team(OtherBase):
    __tablename__ = "teams"

    id: Mapped[int] = mapped_column(primary_key=True)


class Badge(OtherBase):
    __tablename__ = "badges"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("teams.id"))


async def test_a_row_that_no_user_owns_needs_no_living_user(api: Api, database: Database) -> None:
    """A deleted user has the same id."""
    account = await api.register()
    async with deletion_of(account, database):
        pass
    owned = {table for table in TABLES.prepared(AccountRows).deleted if "owner_id" in table.c}
    assert {model.__table__ for model in OWNED} == owned
    async with database.read_sessions() as session:
        user_id = (await session.scalars(select(User.id))).one()
        badges: OwnedRepository[Any] = OwnedRepository(cast("Any", Badge), session)
        await badges._require_owner(user_id)
        with pytest.raises(UnauthorizedError):
            await OwnedRepository(Item, session)._require_owner(user_id)


async def test_a_repository_creates_nothing_for_an_account_that_was_deleted(
    api: Api, database: Database
) -> None:
    for is_deleted in (False, True):
        account = await api.register()
        async with database.sessions() as session:
            user_id = await session.scalar(select(User.id).filter_by(public_id=account.public_id))
            assert user_id is not None
        if is_deleted:
            async with deletion_of(account, database):
                pass
        async with database.sessions() as session:
            items = OwnedRepository(Item, session)
            with pytest.raises(UnauthorizedError) if is_deleted else nullcontext():
                item = await items.create(title="A thing", owner_id=user_id)
                assert item.id


async def restore(api: Api, item: dict[str, str], account: Account) -> Response:
    path = f"{ITEMS}/{item['public_id']}/restore"
    return await api.client.post(path, headers=account.headers)


@on_postgresql
@pytest.mark.parametrize("deleted_before", [False, True])
async def test_a_restore_that_waits_for_a_deletion_restores_nothing(
    api: Api, database: Database, database_url: str, deleted_before: bool
) -> None:
    """AZ5: the owner's row is read again after the wait for the lock."""
    account = await api.register()
    item = await api.create_item(account, status="active")
    if deleted_before:
        path = f"{ITEMS}/{item['public_id']}"
        assert (await api.client.delete(path, headers=account.headers)).status_code == 204
    async with connection_to(database_url) as looking:
        async with deletion_of(account, database):
            waiting = asyncio.create_task(restore(api, item, account))
            await until(lambda: is_waiting_for_a_lock(looking))
        response = await waiting

    problem(response, 404, "not_found")
    assert await rows_left(database) == 0


@on_postgresql
@pytest.mark.parametrize("tags", [[], ["home"]])
async def test_an_item_that_waits_for_a_deletion_is_not_created(
    api: Api, database: Database, database_url: str, tags: list[str]
) -> None:
    """AZ5."""
    account = await api.register()
    body = {"title": "A thing", "status": "active", "tags": tags}
    async with connection_to(database_url) as looking:
        async with deletion_of(account, database):
            creating = api.client.post(ITEMS, json=body, headers=account.headers)
            waiting = asyncio.create_task(creating)
            await until(lambda: is_waiting_for_a_lock(looking))
        response = await waiting

    problem(response, 401, "unauthorized")
    assert await rows_left(database) == 0
