"""A unique violation is recognised by the name of its constraint, on both databases."""

import pytest
from sqlalchemy.exc import IntegrityError

from examples.catalogue.db.session import Database
from examples.catalogue.models.item import Item
from examples.catalogue.models.user import User
from examples.catalogue.repositories.user_repository import UserRepository
from mscr.queries.integrity import violates_unique


async def violation(database: Database, **second: str) -> IntegrityError:
    first = {"email": "ada@example.com", "email_key": "ada@example.com", "password_hash": "!"}
    async with database.sessions() as session:
        repo = UserRepository(session)
        user = await repo.create(**first)
        with pytest.raises(IntegrityError) as caught:
            await repo.create(**{**first, "public_id": user.public_id, **second})
    return caught.value


async def test_the_violated_constraint_is_recognised(database: Database) -> None:
    error = await violation(database, public_id="another")

    assert violates_unique(error, User, "uq_users_email_key_living")


async def test_the_violation_of_another_constraint_is_not_taken_for_it(database: Database) -> None:
    error = await violation(database, email_key="another")

    assert not violates_unique(error, User, "uq_users_email_key_living")
    assert violates_unique(error, User, "ix_users_public_id")


async def test_another_integrity_error_is_no_unique_violation(database: Database) -> None:
    async with database.sessions() as session:
        session.add(Item(title="Orphan", owner_id=4711))
        with pytest.raises(IntegrityError) as caught:
            await session.flush()

    assert not violates_unique(caught.value, User, "uq_users_email_key_living")
