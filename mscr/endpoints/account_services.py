"""Factories of the services of accounts and sessions, for one request."""

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncSession

from mscr.endpoints.outbox import outbox_after_commit
from mscr.endpoints.requests import collaborators_of, tables_of
from mscr.repositories.account_repository import AccountRepository, AccountType
from mscr.repositories.owned_row_repository import OwnedRowRepository
from mscr.repositories.refresh_token_repository import RefreshTokenRepository
from mscr.services.account_deletion_service import AccountDeletionService
from mscr.services.account_notices import AccountNotices
from mscr.services.audit_event_service import AuditTrail
from mscr.services.credential_service import CredentialService
from mscr.services.refresh_token_service import RefreshTokenService


# Plain functions, not dependencies, for the reason given in `mscr.endpoints.requests`.
def refresh_token_service(
    request: Request,
    db: AsyncSession,
    audit: AuditTrail,
    notices: AccountNotices | None = None,
) -> RefreshTokenService:
    """Return the service of sessions."""
    collaborators = collaborators_of(request)
    return RefreshTokenService(
        RefreshTokenRepository(db, tables_of(request)),
        audit,
        codec=collaborators.refresh_tokens,
        parallel_uses=collaborators.parallel_uses,
        access_tokens=collaborators.access_tokens,
        requests=collaborators.requests,
        settings=collaborators.settings,
        notices=notices,
    )


def account_notices(request: Request, db: AsyncSession) -> AccountNotices:
    """Return the service of notices, in the transaction of the request."""
    collaborators = collaborators_of(request)
    outbox = outbox_after_commit(request, db)
    return AccountNotices(collaborators.mails, outbox, settings=collaborators.settings)


def credential_service(
    request: Request, users: AccountRepository[AccountType], audit: AuditTrail
) -> CredentialService[AccountType]:
    """Return the service of passwords."""
    collaborators = collaborators_of(request)
    return CredentialService(
        users,
        audit,
        passwords=collaborators.passwords,
        policy=collaborators.password_policy,
        attempts=collaborators.attempts,
    )


def account_deletion_service(
    request: Request, users: AccountRepository[AccountType], audit: AuditTrail
) -> AccountDeletionService[AccountType]:
    """Return the service that deletes accounts, in the session of `users`."""
    return AccountDeletionService(
        users,
        OwnedRowRepository(users.session, tables_of(request)),
        audit,
    )
