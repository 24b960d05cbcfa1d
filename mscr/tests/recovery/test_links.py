"""The links in the database: each works once, for one purpose and one account."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from examples.catalogue.db.session import Database
from examples.catalogue.models import User
from examples.catalogue.tests.api import Api
from mscr.core.security.mailed_token import MailedToken, digest_of, new_mailed_token
from mscr.models.base import utcnow
from mscr.models.mailed_link import LinkPurpose, MailedLinkMixin
from mscr.repositories.mailed_link_repository import MailedLinkRepository
from mscr.testing.table_rows import all_rows

RESET, VERIFY = LinkPurpose.RESET_PASSWORD, LinkPurpose.VERIFY_EMAIL
EMAIL = "ada@example.com"
HOUR = timedelta(hours=1)


class Links:
    """The links of one account."""

    def __init__(self, database: Database, user: User) -> None:
        self._database = database
        self._user = user

    async def issue(self, purpose: LinkPurpose = RESET, *, lifetime: timedelta = HOUR) -> str:
        issued = new_mailed_token()
        async with self._database.sessions.begin() as session:
            await self._repository(session).replace(
                self._user,
                purpose,
                digest=issued.digest,
                email=EMAIL,
                expires_at=utcnow() + lifetime,
            )
        return issued.token

    async def use(
        self, token: str, purpose: LinkPurpose = RESET, *, user_id: int | None = None
    ) -> MailedLinkMixin | None:
        async with self._database.sessions.begin() as session:
            return await self._repository(session).use(
                digest_of(token), purpose, user_id=user_id or self._user.id, now=utcnow()
            )

    async def owner(self, token: str, purpose: LinkPurpose = RESET) -> int | None:
        async with self._database.read_sessions() as session:
            return await self._repository(session).find_owner(
                digest_of(token), purpose, now=utcnow()
            )

    async def delete_expired(self, *, batch: int) -> int:
        async with self._database.sessions.begin() as session:
            return await self._repository(session).delete_expired(before=utcnow(), batch=batch)

    async def void_all(self) -> None:
        async with self._database.sessions.begin() as session:
            await self._repository(session).void_all(self._user.id)

    def _repository(self, session: AsyncSession) -> MailedLinkRepository:
        return MailedLinkRepository(session, self._database.tables)


@pytest.fixture
async def user(api: Api, database: Database) -> User:
    await api.register(EMAIL)
    async with database.read_sessions() as session:
        return (await session.scalars(select(User))).one()


@pytest.fixture
async def links(database: Database, user: User) -> Links:
    found = Links(database, user)
    # The registration has mailed a link.
    await found.void_all()
    return found


def test_tokens_are_long_random_and_hidden() -> None:
    """EM1: 256 random bits, of which no repr shows any."""
    tokens = {new_mailed_token().token for _ in range(100)}

    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {43}
    issued = new_mailed_token()
    assert issued.token not in repr(issued)
    assert issued == MailedToken(issued.token, digest_of(issued.token))


async def test_only_a_digest_is_stored(links: Links, database: Database) -> None:
    """EM1: nothing in a dump opens the link, in any form."""
    token = await links.issue()

    assert token[:20] not in str(await all_rows(database))
    [row] = (await all_rows(database))["mailed_links"]
    for stored in row:
        assert await links.owner(str(stored)) is None
    assert digest_of(token) in row


async def test_a_link_opens_its_account_until_it_is_used(links: Links, user: User) -> None:
    """EM1."""
    token = await links.issue()
    assert await links.owner(token) == user.id

    used = await links.use(token)

    assert used is not None
    assert (used.email, used.auth_version) == (EMAIL, user.auth_version)
    assert await links.owner(token) is None
    assert await links.use(token) is None


async def test_one_of_many_concurrent_uses_gets_the_link(links: Links) -> None:
    """EM1."""
    token = await links.issue()

    found = await asyncio.gather(*[links.use(token) for _ in range(20)])

    assert sum(each is not None for each in found) == 1


async def test_a_link_for_one_purpose_is_none_for_another(links: Links) -> None:
    """EM1."""
    token = await links.issue(VERIFY)

    assert await links.owner(token) is None
    assert await links.use(token) is None
    assert await links.use(token, VERIFY) is not None


async def test_another_account_cannot_use_a_link(links: Links, user: User) -> None:
    """EM1."""
    token = await links.issue()

    assert await links.use(token, user_id=user.id + 1) is None
    assert await links.use(token) is not None


async def test_an_expired_link_opens_nothing(links: Links) -> None:
    """EM1."""
    token = await links.issue(lifetime=timedelta(seconds=-1))

    assert await links.owner(token) is None
    assert await links.use(token) is None


async def test_a_newer_link_voids_the_earlier_one_of_its_purpose(
    links: Links, database: Database
) -> None:
    """EM1: requests do not fill the table."""
    verification = await links.issue(VERIFY)
    tokens = [await links.issue() for _ in range(3)]

    assert [await links.owner(each) is not None for each in tokens] == [False, False, True]
    assert await links.owner(verification, VERIFY) is not None
    assert len((await all_rows(database))["mailed_links"]) == 2


async def test_all_links_of_an_account_can_be_voided(links: Links, database: Database) -> None:
    """EM2."""
    await links.issue()
    await links.issue(VERIFY)

    await links.void_all()

    assert (await all_rows(database))["mailed_links"] == []


async def test_expired_links_are_deleted_in_batches(links: Links, database: Database) -> None:
    """EM1, RL16."""
    await links.issue(lifetime=-HOUR)
    await links.issue(VERIFY, lifetime=-HOUR)

    assert [await links.delete_expired(batch=1) for _ in range(3)] == [1, 1, 0]
    await links.issue()
    assert await links.delete_expired(batch=1) == 0
    assert len((await all_rows(database))["mailed_links"]) == 1
