"""The services of forgotten passwords and addresses, for one request."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncSession

from mscr.core.exceptions import ServiceUnavailableError
from mscr.endpoints.account_services import account_notices, credential_service
from mscr.endpoints.audit import audit_trail
from mscr.endpoints.database import DbSession
from mscr.endpoints.outbox import Outbox, outbox_after_commit
from mscr.endpoints.requests import collaborators_of, tables_of
from mscr.jobs.outbox import Outbox as JobOutbox
from mscr.repositories.account_repository import AccountRepository, AccountType
from mscr.repositories.mailed_link_repository import MailedLinkRepository
from mscr.repositories.refresh_token_repository import RefreshTokenRepository
from mscr.services.email_verification_service import EmailVerificationService
from mscr.services.mailed_links import MailedLinks
from mscr.services.password_reset_service import PasswordResetService


@dataclass(frozen=True, slots=True)
class AccountRecovery(Generic[AccountType]):
    """The parts of an application that the recovery of accounts works on."""

    users: type[AccountRepository[AccountType]]
    context: Callable[[AccountType], Iterable[str]]
    """Return the texts of an account that its password must not consist of."""

    async def password_resets(
        self, request: Request, db: DbSession, outbox: Outbox
    ) -> PasswordResetService[AccountType]:
        audit, user_repo = audit_trail(request, db), self.users(db)
        lifetime = collaborators_of(request).settings.reset_link_lifetime
        return PasswordResetService(
            user_repo,
            credential_service(request, user_repo, audit),
            audit,
            links=_links(request, db, outbox, lifetime),
            notices=account_notices(request, db),
            context=self.context,
        )

    async def verifications(
        self, request: Request, db: DbSession, outbox: Outbox
    ) -> EmailVerificationService[AccountType]:
        audit, user_repo = audit_trail(request, db), self.users(db)
        lifetime = collaborators_of(request).settings.verification_link_lifetime
        return EmailVerificationService(
            user_repo,
            RefreshTokenRepository(db, tables_of(request)),
            credential_service(request, user_repo, audit),
            audit,
            links=_links(request, db, outbox, lifetime),
            notices=account_notices(request, db),
        )

    async def of_registration(
        self, request: Request, db: DbSession
    ) -> EmailVerificationService[AccountType] | None:
        """Return what mails a link to the address of a new account, or None without SMTP_URL."""
        if collaborators_of(request).settings.SMTP_URL is None:
            return None
        # Without a mail, a registration searches for no jobs.
        return await self.verifications(request, db, outbox_after_commit(request, db))


def _links(
    request: Request, db: AsyncSession, outbox: JobOutbox, lifetime: timedelta
) -> MailedLinks:
    repo = MailedLinkRepository(db, tables_of(request))
    return MailedLinks(repo, collaborators_of(request).mails, outbox, lifetime)


async def require_mail(request: Request) -> None:
    """Raise `ServiceUnavailableError` in production without SMTP_URL.

    A mail would go to the log there, and everybody who reads the log could use its link.
    """
    if not collaborators_of(request).settings.sends_mail:
        raise ServiceUnavailableError(
            "This server sends no mails.",
            reason="SMTP_URL is not set, and a link must not be written to the log",
            remedy="set SMTP_URL, MAIL_FROM and PUBLIC_URL",
        )
