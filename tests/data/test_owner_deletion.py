"""What an account's requests do that are at work while it is deleted: nothing that stays."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from fastapi import FastAPI
from httpx2 import Response
from sqlalchemy import ForeignKey, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.core.dependencies import get_principal
from app.core.exceptions import UnauthorizedError
from app.core.security.jwt import TokenClaims
from app.core.security.principal import Account as CallersAccount
from app.core.security.principal import Principal
from app.db.session import Database
from app.models import Item, Tag, User
from app.models.ownership import owned_models
from app.repositories.base import BaseRepository
from app.repositories.owned_row_repository import OwnedRowRepository
from app.repositories.user_repository import UserRepository
from tests.api.test_idempotency import is_waiting_for_a_lock
from tests.data.faults import connection_to, until
from tests.support.api import Account, Api
from tests.support.databases import on_postgresql
from tests.support.problems import problem

ITEMS = "/api/v1/items"


@asynccontextmanager
async def deletion_of(account: Account, database: Database) -> AsyncIterator[None]:
    """Its transaction, which ends with the block."""
    async with database.sessions.begin() as session:
        users = UserRepository(session)
        user = await users.lock(public_id=account.public_id)
        assert user is not None
        await users.soft_delete(user)
        await OwnedRowRepository(session).soft_delete(user.id)
        yield


async def let_in(account: Account, app: FastAPI, database: Database) -> None:
    """As if a request had come before the deletion: whoever calls was looked up already."""
    async with database.read_sessions() as session:
        user = (await session.scalars(select(User).filter_by(public_id=account.public_id))).one()
    unknown = dict.fromkeys(("iss", "aud", "sid", "jti"), "")
    claims = TokenClaims(**unknown, sub=account.public_id, iat=0, exp=0)
    shown = {field.name: getattr(user, field.name) for field in fields(CallersAccount)}
    principal = Principal(claims, user.id, CallersAccount(**shown), datetime.now(UTC))
    app.dependency_overrides[get_principal] = lambda: principal


async def rows_left(database: Database) -> int:
    async with database.read_sessions() as session:
        living = [
            await session.scalar(select(func.count()).select_from(m).where(m.is_deleted.is_(False)))
            for m in (Item, Tag)
        ]
    return sum(count or 0 for count in living)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (ITEMS, {"json": {"title": "A thing", "status": "active", "tags": ["home"]}}),
        (ITEMS, {"json": {"title": "A thing", "status": "active"}}),
        ("/api/v1/tags", {"json": {"name": "home"}}),
        (f"{ITEMS}/bulk", {"json": {"rows": [{"title": "A thing", "status": "active"}]}}),
        (
            f"{ITEMS}/import",
            {"content": "title\r\nA thing\r\n", "headers": {"Content-Type": "text/csv"}},
        ),
    ],
    ids=["item", "plain item", "tag", "bulk", "import"],
)
async def test_nothing_is_made_for_an_account_that_was_deleted_meanwhile(
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
    """With tables of its own, which no migration and no other test sees."""


class Team(OtherBase):
    __tablename__ = "teams"

    id: Mapped[int] = mapped_column(primary_key=True)


class Badge(OtherBase):
    __tablename__ = "badges"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("teams.id"))


async def test_what_belongs_to_something_else_is_not_asked_for_a_user(
    api: Api, database: Database
) -> None:
    """Though a deleted user has the same number."""
    account = await api.register()
    async with deletion_of(account, database):
        pass
    assert set(owned_models()) == {Item, Tag}
    async with database.read_sessions() as session:
        user_id = (await session.scalars(select(User.id))).one()
        badges: BaseRepository[Any] = BaseRepository(cast("Any", Badge), session)
        await badges._require_owner(user_id)
        with pytest.raises(UnauthorizedError):
            await BaseRepository(Item, session)._require_owner(user_id)


async def restore(api: Api, item: dict[str, str], account: Account) -> Response:
    path = f"{ITEMS}/{item['public_id']}/restore"
    return await api.client.post(path, headers=account.headers)


@on_postgresql
@pytest.mark.parametrize("deleted_before", [False, True])
async def test_a_restore_that_waits_for_a_deletion_restores_nothing(
    api: Api, database: Database, database_url: str, deleted_before: bool
) -> None:
    """AZ5: what it read of the owner before is not what counts."""
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
async def test_an_item_that_waits_for_a_deletion_is_not_made(
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
