"""Bulk writes in which some rows violate a constraint."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from examples.catalogue.db.session import Database
from examples.catalogue.models.tables import TABLES
from examples.catalogue.models.user import User
from mscr.core.exceptions import ConflictError, RowsRefusedError
from mscr.models.email_key import email_key
from mscr.repositories.bulk_repository import BulkRepository
from mscr.repositories.idempotency_key_repository import IdempotencyKeyRepository
from mscr.schemas.base import PublicResource, RequestSchema
from mscr.schemas.bulk_schemas import BulkRequest, RowTarget
from mscr.services.bulk_service import BulkService
from mscr.services.idempotency_service import IdempotencyService
from mscr.services.rows import RowLedger
from mscr.testing.routes import random_id


def person(name: str) -> dict[str, Any]:
    email = f"{name}@example.com"
    return {"email": email, "email_key": email_key(email), "password_hash": "x"}


async def test_rows_that_violate_a_constraint_are_refused_and_the_others_are_written(
    database: Database,
) -> None:
    async with database.sessions() as session:
        repo = BulkRepository(User, session)
        made = await repo.create_each([person("a"), person("A"), person("b")])
        await repo.commit()
        ada, taken, bob = made
        assert isinstance(ada, User)
        assert isinstance(bob, User)
        assert isinstance(taken, ConflictError)

        changes = [(ada, {"email_key": "b@example.com"}), (bob, {"full_name": "Bob"})]
        refused, changed = await repo.update_each(changes)
        await repo.commit()

    assert isinstance(refused, ConflictError)
    assert changed is bob
    async with database.sessions() as session:
        found = await BulkRepository(User, session).list()
    assert [(u.email, u.full_name, u.version) for u in found] == [
        ("a@example.com", None, 1),
        ("b@example.com", "Bob", 2),
    ]


async def test_empty_bulk_operations_send_no_statement(database: Database) -> None:
    async with database.sessions() as session:
        repo = BulkRepository(User, session)
        assert await repo.create_each([]) == []
        assert await repo.lock_each([]) == {}
        assert await repo.update_each([]) == []
        await repo.soft_delete_each([])
        assert not session.in_transaction()


async def test_a_null_in_a_required_column_is_no_conflict(database: Database) -> None:
    async with database.sessions() as session:
        repo = BulkRepository(User, session)
        with pytest.raises(IntegrityError):
            await repo.create_each([person("a") | {"password_hash": None}])


class PersonRow(RequestSchema):
    email: str
    email_key: str
    password_hash: str


@pytest.mark.parametrize("atomic", [False, True])
async def test_a_service_reports_which_rows_violate_a_unique_constraint(
    database: Database, atomic: bool
) -> None:
    """IN6."""
    sent = {"rows": [person("a"), person("A"), person("b")]}
    request = BulkRequest[PersonRow].model_validate(sent)
    ledger = RowLedger(request_id="request", schema=PublicResource, atomic=atomic)
    async with database.sessions() as session:
        keys = IdempotencyKeyRepository(session, TABLES)
        idempotency = IdempotencyService(keys, None, lifetime=timedelta(1))
        service = BulkService(BulkRepository(User, session), ledger, idempotency)
        if atomic:
            with pytest.raises(RowsRefusedError) as refused:
                await service.create(request)
            assert [error["loc"] for error in refused.value.errors or ()] == [["body", "rows", 1]]
        else:
            result = await service.create(request)
            assert [row.status for row in result.rows] == [201, 409, 201]
            assert (result.succeeded, result.failed) == (2, 1)

    async with database.sessions() as session:
        assert await BulkRepository(User, session).count() == (0 if atomic else 2)


class PersonChange(RowTarget):
    email_key: str


async def test_a_missing_row_hides_no_conflict_of_an_atomic_request(database: Database) -> None:
    """IN6."""
    async with database.sessions() as session:
        repo = BulkRepository(User, session)
        ada, _ = await repo.create_each([person("a"), person("b")])
        assert isinstance(ada, User)
        await repo.commit()
        taken = "b@example.com"
        rows = [{"public_id": each, "email_key": taken} for each in (random_id(), ada.public_id)]
        request = BulkRequest[PersonChange].model_validate({"rows": rows})
        ledger = RowLedger(request_id="request", schema=PublicResource, atomic=True)
        keys = IdempotencyKeyRepository(session, TABLES)
        idempotency = IdempotencyService(keys, None, lifetime=timedelta(1))
        with pytest.raises(RowsRefusedError) as refused:
            await BulkService(repo, ledger, idempotency).update(request, lambda _: True)

    told = [(error["loc"][-1], error["type"]) for error in refused.value.errors or ()]
    assert told == [(0, "not_found"), (1, "conflict")]
