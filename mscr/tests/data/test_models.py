"""Models: guarantees of the mixins on both databases, for raw SQL too."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
import time_machine
from sqlalchemy import String, cast, select, text
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from examples.catalogue.models.item import Item, ItemStatus
from examples.catalogue.models.kit_tables import AuditEvent, RefreshToken
from examples.catalogue.models.user import User, UserRole
from mscr.mail.composition import deliverable
from mscr.models.audit_event import AuditOutcome
from mscr.models.email_key import email_key
from mscr.models.refresh_token import RevocationReason
from mscr.tests.data.conftest import make_user

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)
INSERT_USER = text(
    "INSERT INTO users (public_id, email, email_key, password_hash) VALUES ('x', 'x', 'x', 'x')"
)


async def test_times_come_back_aware_and_in_utc(session: AsyncSession) -> None:
    east = timezone(timedelta(hours=9))
    user = make_user("east@example.com")
    user.created_at = datetime(2030, 5, 1, 21, tzinfo=east)
    session.add(user)
    await session.commit()

    found = (await session.scalars(select(User.created_at))).one()

    assert (found, found.tzinfo) == (NOON, UTC)


async def test_a_naive_time_is_refused(session: AsyncSession, owner: User) -> None:
    owner.created_at = datetime(2030, 5, 1)  # noqa: DTZ001  # refused on purpose

    with pytest.raises(StatementError, match="naive"):
        await session.flush()


async def test_a_time_keeps_its_microseconds(session: AsyncSession, owner: User) -> None:
    owner.created_at = NOON.replace(microsecond=123_456)
    await session.commit()

    found = (await session.scalars(select(User.created_at))).one()

    assert found.microsecond == 123_456


async def test_times_compare_as_times(session: AsyncSession, owner: User) -> None:
    owner.created_at = NOON
    await session.commit()
    later_in_the_west = datetime(2030, 5, 1, 11, tzinfo=timezone(timedelta(hours=-3)))

    statement = select(User.id).where(User.created_at < later_in_the_west)

    assert (await session.scalars(statement)).all() == [owner.id]


async def test_a_row_that_raw_sql_inserts_has_its_times(session: AsyncSession) -> None:
    await session.execute(INSERT_USER)

    times = (await session.execute(select(User.created_at, User.updated_at))).one()

    now = datetime.now(UTC)
    assert [abs(now - time) < timedelta(seconds=5) for time in times] == [True, True]


async def test_a_row_that_raw_sql_inserts_has_the_defaults(session: AsyncSession) -> None:
    await session.execute(INSERT_USER)

    user = (await session.scalars(select(User))).one()

    assert (user.role.value, user.is_active, user.auth_version) == ("user", True, 1)
    assert (user.is_deleted, user.deleted_at) == (False, None)


async def test_a_change_moves_updated_at_and_nothing_else(
    session: AsyncSession, owner: User
) -> None:
    created_at = owner.created_at
    with time_machine.travel(NOON, tick=False):
        owner.full_name = "Ada"
        await session.commit()
    await session.refresh(owner)

    assert (owner.created_at, owner.updated_at) == (created_at, NOON)


async def test_soft_deletion_is_undone_by_restoring(session: AsyncSession, owner: User) -> None:
    with time_machine.travel(NOON, tick=False):
        owner.soft_delete()
    deleted = (owner.is_deleted, owner.deleted_at)
    owner.restore()

    assert deleted == (True, NOON)
    assert (owner.is_deleted, owner.deleted_at) == (False, None)


async def test_public_ids_are_version_7_and_all_different(session: AsyncSession) -> None:
    users = [make_user(f"user-{number}@example.com") for number in range(200)]
    session.add_all(users)
    await session.flush()

    ids = {UUID(user.public_id) for user in users}

    assert (len(ids), {public_id.version for public_id in ids}) == (200, {7})


async def test_a_public_id_does_not_reveal_the_integer_id(session: AsyncSession) -> None:
    user = make_user("user@example.com")
    user.id = 0x5AFE_1234
    session.add(user)
    await session.flush()

    assert "5afe1234" not in user.public_id.replace("-", "")


async def test_a_public_id_cannot_be_given_twice(session: AsyncSession, owner: User) -> None:
    twin = make_user("twin@example.com")
    twin.public_id = owner.public_id
    session.add(twin)

    with pytest.raises(IntegrityError, match="public_id"):
        await session.flush()


async def test_two_living_users_cannot_have_one_address(session: AsyncSession, owner: User) -> None:
    session.add(make_user("OWNER@example.com"))

    with pytest.raises(IntegrityError, match="email_key"):
        await session.flush()


async def test_the_address_of_a_deleted_user_is_free(session: AsyncSession, owner: User) -> None:
    owner.soft_delete()
    session.add(make_user(owner.email))
    await session.commit()

    assert len((await session.scalars(select(User))).all()) == 2


async def test_a_restored_user_cannot_share_the_address_taken_meanwhile(
    session: AsyncSession, owner: User
) -> None:
    owner.soft_delete()
    session.add(make_user(owner.email))
    await session.commit()
    owner.restore()

    with pytest.raises(IntegrityError, match="email_key"):
        await session.flush()


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("Ada@Example.COM", "ada@example.com"),
        ("  ada@example.com ", "ada@example.com"),
        ("STRASSE@example.com", "strasse@example.com"),
        ("ada@straße.example", "ada@xn--strae-oqa.example"),
        ("ada@STRASSE.example", "ada@strasse.example"),
        ("ada@XN--STRAE-OQA.example", "ada@xn--strae-oqa.example"),
        ("ada@faß.example", "ada@xn--fa-hia.example"),
        ("ada@βόλος.example", "ada@xn--nxasmm1c.example"),
        ("ada@u\u0308ber.example", "ada@xn--ber-goa.example"),
        ("ada@example\u3002com", "ada@example.com"),
        ("ada@\uff45xample.com", "ada@example.com"),
        ("jo\u0308rg@example.com", "j\u00f6rg@example.com"),
        # Not one identity: only the mail server knows whether it folds these.
        ("\uff41da@example.com", "\uff41da@example.com"),
        ("J\u00d6RG@example.com", "j\u00d6rg@example.com"),
        ("\u212aate@example.com", "kate@example.com"),
        ("no address", "no address"),
        ("ada@xn--zzzzzzz", "ada@xn--zzzzzzz"),
    ],
)
def test_an_address_is_one_identity_however_it_is_typed(typed: str, key: str) -> None:
    assert email_key(typed) == key


@pytest.mark.parametrize(
    "domain", ["straße.example.com", "faß.de", "bücher.de", "BÜCHER.de", "example\u3002com"]
)
def test_mail_goes_to_the_domain_that_the_account_is_looked_up_by(domain: str) -> None:
    address = f"Ada.L@{domain}"

    assert deliverable(address).rpartition("@")[2] == email_key(address).rpartition("@")[2]
    assert deliverable(address).startswith("Ada.L@")


@pytest.mark.parametrize("table", ["users", "items"])
async def test_a_value_outside_the_enum_is_refused_by_the_database(
    session: AsyncSession, owner: User, table: str
) -> None:
    session.add(Item(title="A thing", owner_id=owner.id))
    await session.flush()
    column = {"users": "role", "items": "status"}[table]

    with pytest.raises(IntegrityError, match="ck_"):
        await session.execute(text(f"UPDATE {table} SET {column} = 'nonsense'"))  # noqa: S608 - no value comes from outside


async def test_an_enum_is_stored_as_its_value(session: AsyncSession, owner: User) -> None:
    session.add(Item(title="A thing", owner_id=owner.id, status=ItemStatus.ARCHIVED))
    await session.flush()

    assert await session.scalar(text("SELECT status FROM items")) == "archived"


async def test_an_enum_compares_and_reads_as_text(session: AsyncSession, owner: User) -> None:
    session.add(Item(title="A thing", owner_id=owner.id, status=ItemStatus.ACTIVE))
    await session.commit()

    item = (await session.scalars(select(Item).where(Item.status == "active"))).one()

    assert item.status == "active"


async def test_deleting_a_row_of_users_takes_its_items_along(
    session: AsyncSession, owner: User
) -> None:
    session.add(Item(title="A thing", owner_id=owner.id))
    await session.flush()

    await session.execute(text("DELETE FROM users"))

    assert await session.scalar(text("SELECT count(*) FROM items")) == 0


async def test_relationships_lead_both_ways(session: AsyncSession, owner: User) -> None:
    session.add(Item(title="A thing", owner_id=owner.id))
    await session.commit()
    items_of_owner = selectinload(User.items).selectinload(Item.owner)

    found = (await session.scalars(select(User).options(items_of_owner))).one()

    assert [item.owner.id for item in found.items] == [owner.id]


async def test_a_repr_shows_the_public_id_and_no_column(owner: User) -> None:
    assert repr(owner) == f"<User {owner.public_id}>"


async def test_a_repr_works_on_expired_and_detached_rows(
    session: AsyncSession, owner: User
) -> None:
    session.expire(owner)
    await session.close()

    assert repr(owner) == "<User ->"


async def test_an_enum_is_stored_by_its_value_and_read_as_a_member(
    session: AsyncSession, owner: User
) -> None:
    login = RefreshToken(
        user_id=owner.id,
        seed=b"s" * 32,
        auth_version=1,
        expires_at=NOON,
        idle_expires_at=NOON,
        revoked_reason=RevocationReason.REUSE,
    )
    event = AuditEvent(
        action="login", outcome=AuditOutcome.FAILURE, operation="login", address="192.0.2.1"
    )
    session.add_all([login, event, Item(title="Milk", owner_id=owner.id)])
    await session.commit()

    for column, enum in (
        (User.role, UserRole.USER),
        (Item.status, ItemStatus.DRAFT),
        (RefreshToken.revoked_reason, RevocationReason.REUSE),
        (AuditEvent.outcome, AuditOutcome.FAILURE),
    ):
        assert await session.scalar(select(column)) is enum
        assert await session.scalar(select(cast(column, String))) == enum.value
