"""Fields of a registration that are unique, and rows that are created with an account."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import func, select

from examples.catalogue.core.config import Settings
from mscr.collaborators import kit_collaborators
from mscr.core.client import Client, Origin
from mscr.core.exceptions import EmailTakenError, UnauthorizedError
from mscr.core.security.registration_token import pending_registration
from mscr.db.session import Database
from mscr.jobs.mails import MailData
from mscr.jobs.outbox import Outbox
from mscr.models.audit_event import AuditAction
from mscr.models.base import encryption_context
from mscr.repositories.audit_event_repository import AuditEventRepository
from mscr.repositories.job_repository import JobRepository
from mscr.repositories.owned_row_repository import OwnedRowRepository
from mscr.repositories.refresh_token_repository import RefreshTokenRepository
from mscr.schemas.auth_schemas import ChangePasswordRequest
from mscr.schemas.base import Email, Password, RequestSchema
from mscr.services.account_deletion_service import AccountDeletionService
from mscr.services.account_service import AccountService
from mscr.services.audit_event_service import AuditTrail
from mscr.services.credential_service import CredentialService
from mscr.services.login_service import LoginService
from mscr.services.mail_registration_service import MailRegistrationService
from mscr.services.refresh_token_service import RefreshTokenService
from mscr.testing.api import PASSWORD
from mscr.tests.support.accounts import (
    TABLES,
    Bill,
    Event,
    HandleTakenError,
    Person,
    PersonRepository,
    people_at,
)

CLIENT = Client("192.0.2.1", None)
TOKEN = re.compile(r"#token=(\S+)")


class Registration(RequestSchema):
    email: Email
    password: Password
    handle: str
    nickname: str | None = None


def registration(email: str, handle: str) -> Registration:
    return Registration(email=email, password=PASSWORD, handle=handle)


def no_context(_: Any) -> tuple[str, ...]:
    return ()


class Services:
    """The ways to an account, in one database session."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.parts = kit_collaborators(settings)
        self.session = database.sessions()
        self.users = PersonRepository(self.session)
        events = AuditEventRepository(self.session, TABLES)
        origin = Origin(CLIENT, "test")
        self.audit = AuditTrail(events, origin, requests=self.parts["requests"])
        self.credentials = CredentialService(
            self.users,
            self.audit,
            passwords=self.parts["passwords"],
            policy=self.parts["password_policy"],
            attempts=self.parts["attempts"],
        )
        self.jobs = JobRepository(self.session, TABLES)

    async def posted(self) -> list[MailData]:
        """Return the mails in the outbox, the oldest first."""
        jobs = await self.jobs.list_oldest(only_dead=False, limit=100)
        await self.session.commit()
        return [
            MailData.model_validate_json(
                self.parts["encryption"].decrypt(
                    job.data, context=encryption_context(TABLES.job.data, job.public_id)
                )
            )
            for job in jobs
        ]

    @property
    def sessions(self) -> RefreshTokenService:
        return RefreshTokenService(
            RefreshTokenRepository(self.session, TABLES),
            self.audit,
            codec=self.parts["refresh_tokens"],
            parallel_uses=self.parts["parallel_uses"],
            access_tokens=self.parts["access_tokens"],
            requests=self.parts["requests"],
            settings=self.parts["settings"],
        )

    @property
    def login(self) -> LoginService[Person]:
        return LoginService(
            self.users, self.credentials, self.sessions, self.audit, context=no_context
        )

    async def register(self, data: Registration) -> None:
        await self.login.register(data, CLIENT, context=())

    @property
    def by_mail(self) -> MailRegistrationService[Person]:
        return MailRegistrationService(
            self.users,
            self.credentials,
            self.audit,
            tokens=self.parts["registrations"],
            pending=pending_registration(Registration),
            mails=self.parts["mails"],
            outbox=Outbox(self.jobs, self.parts["encryption"]),
        )

    async def register_by_mail(self, data: Registration) -> None:
        await self.by_mail.request(data, CLIENT, context=())
        [token] = TOKEN.findall((await self.posted())[-1].text)
        await self.by_mail.confirm(token, PASSWORD, CLIENT)

    async def create(self, data: Registration) -> None:
        accounts = AccountService(
            self.users,
            self.audit,
            passwords=self.parts["passwords"],
            policy=self.parts["password_policy"],
            context=no_context,
            administrators={},
        )
        await accounts.create(data)


Way = Callable[[Services, Registration], Any]
each_way = pytest.mark.parametrize(
    "create", [Services.register, Services.register_by_mail, Services.create]
)


@pytest.fixture
async def people(settings: Settings, empty_url: str) -> AsyncIterator[Database]:
    async with people_at(settings, empty_url) as database:
        yield database


@pytest.fixture
async def services(people: Database, settings: Settings) -> AsyncIterator[Services]:
    made = Services(people, settings)
    with closing(made.parts["passwords"]):
        async with made.session:
            yield made


async def stored(people: Database) -> tuple[list[str], int, list[str | None]]:
    """Return the handles of all people, the number of bills, and the reasons of refusals."""
    async with people.read_sessions() as session:
        handles = await session.scalars(select(Person.handle).order_by(Person.id))
        bills = await session.scalar(select(func.count()).select_from(Bill))
        refused = await session.scalars(select(Event.reason).where(Event.outcome == "failure"))
        return [*handles], bills or 0, [*refused]


@each_way
async def test_rows_of_a_new_account_are_created_with_it(
    services: Services, people: Database, create: Way
) -> None:
    await create(services, registration("ada@example.com", "ada"))

    assert await stored(people) == (["ada"], 1, [])


@each_way
async def test_a_taken_value_is_the_error_of_its_index(
    services: Services, people: Database, create: Way
) -> None:
    await create(services, registration("ada@example.com", "ada"))
    with pytest.raises(HandleTakenError):
        await create(services, registration("eve@example.com", "ada"))

    handles, bills, refused = await stored(people)
    assert (handles, bills) == (["ada"], 1)
    assert refused == ([] if create is Services.create else ["handle_taken"])


@each_way
async def test_a_taken_address_creates_no_rows(
    services: Services, people: Database, create: Way
) -> None:
    await create(services, registration("ada@example.com", "ada"))
    if create is Services.register_by_mail:
        await services.by_mail.request(registration("ada@example.com", "eve"), CLIENT, context=())
        assert (await services.posted())[-1].subject.startswith("You have")
    else:
        with pytest.raises(EmailTakenError):
            await create(services, registration("ada@example.com", "eve"))

    assert (await stored(people))[:2] == (["ada"], 1)


async def test_a_value_that_is_taken_before_the_link_is_opened_is_refused_then(
    services: Services, people: Database
) -> None:
    await services.by_mail.request(registration("eve@example.com", "ada"), CLIENT, context=())
    [token] = TOKEN.findall((await services.posted())[-1].text)
    await services.create(registration("ada@example.com", "ada"))

    with pytest.raises(HandleTakenError):
        await services.by_mail.confirm(token, PASSWORD, CLIENT)

    assert await stored(people) == (["ada"], 1, ["handle_taken"])


async def test_a_taken_value_has_one_response_for_every_address(
    services: Services, people: Database
) -> None:
    """LG3: it is refused before the address is looked up."""
    await services.create(registration("ada@example.com", "ada"))
    for email in ("ada@example.com", "new@example.com"):
        with pytest.raises(HandleTakenError):
            await services.by_mail.request(registration(email, "ada"), CLIENT, context=())

    assert await services.posted() == []


async def test_an_application_without_notices_mails_none(services: Services) -> None:
    await services.create(registration("ada@example.com", "ada"))
    user = await services.users.find_by_email("ada@example.com")
    assert user is not None
    data = ChangePasswordRequest(current_password=PASSWORD, new_password="eight dry umbrellas")

    await services.login.change_password(user.id, data, CLIENT)

    assert await services.posted() == []


async def test_a_login_stores_nothing_of_an_account_that_is_deleted_meanwhile(
    services: Services, people: Database, settings: Settings
) -> None:
    """Its password was verified before: no connection is held while hashing."""
    await services.create(registration("ada@example.com", "ada"))
    user = await services.users.find_by_email("ada@example.com")
    assert user is not None
    await services.users.release()
    other = Services(people, settings)
    async with other.session:
        known = await other.users.lock(id=user.id)
        assert known is not None
        owned = OwnedRowRepository(other.session, TABLES)
        await AccountDeletionService(other.users, owned, other.audit).delete(known)
        await other.users.commit()

    with pytest.raises(UnauthorizedError):
        await services.sessions.start_family(user, CLIENT, AuditAction.LOGIN)
