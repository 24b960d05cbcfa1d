"""Races of a reset with logins and with the deletion of the account."""

import asyncio

import pytest
from fastapi import FastAPI

from examples.catalogue.db.session import Database
from mscr.core.security.mailed_token import new_mailed_token
from mscr.models.base import utcnow
from mscr.models.mailed_link import LinkPurpose
from mscr.repositories.account_repository import AccountRepository
from mscr.repositories.mailed_link_repository import MailedLinkRepository
from mscr.testing.api import Account
from mscr.testing.tokens import live_sessions, what_opens
from mscr.tests.recovery.api import CatalogueApi as Api

pytestmark = pytest.mark.settings(
    DATABASE_POOL_TIMEOUT_SECONDS=30, DATABASE_LOCK_TIMEOUT_SECONDS=30, SMTP_URL=None
)

ROUNDS = 200
DELETIONS = 20


async def reset_token(account: Account, database: Database) -> str:
    """Issue a link without its mail, which would take most of the time of a round."""
    issued = new_mailed_token()
    async with database.sessions.begin() as session:
        user = await AccountRepository(database.tables.user, session).lock(
            public_id=account.public_id
        )
        assert user is not None
        await MailedLinkRepository(session, database.tables).replace(
            user,
            LinkPurpose.RESET_PASSWORD,
            digest=issued.digest,
            email=user.email,
            expires_at=utcnow().replace(year=2100),
        )
    return issued.token


async def test_no_login_with_the_old_password_survives_a_reset(
    api: Api, database: Database
) -> None:
    """RC2: the login begins before the reset, or after it."""
    account = await api.register()
    for number in range(ROUNDS):
        token = await reset_token(account, database)
        new = f"password of round {number}"
        login, reset = api.try_login(account.email, account.password), api.reset(token, new)
        calls = (login, reset) if number % 2 else (reset, login)

        answers = await asyncio.gather(*calls)

        logged_in, was_reset = answers if number % 2 else reversed(answers)
        assert was_reset.status_code == 204
        assert logged_in.status_code in {200, 401}
        assert await live_sessions(database, account) == 0, number
        if logged_in.is_success and number % 20 < 2:
            assert await what_opens(api, logged_in.json()["data"]) == []
        account.password = new


async def test_a_reset_and_a_deletion_at_once_do_not_deadlock(
    api: Api, app: FastAPI, database: Database
) -> None:
    """EM1, RC5: both lock the account before its links."""
    for _ in range(DELETIONS):
        account = await api.register()
        token = await reset_token(account, database)

        deleted, reset = await asyncio.gather(api.delete_account(account), api.reset(token))

        statuses = (deleted.status_code, reset.status_code)
        # After the reset, the password of the deletion is wrong, or its session has ended.
        assert statuses in {(204, 400), (403, 204), (401, 204)}
