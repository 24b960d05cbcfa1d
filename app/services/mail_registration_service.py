"""Registering without telling who has an account (ASVS v6.3.8): mail decides."""

from collections.abc import Callable

from uuid_utils.compat import uuid7

from app.core.client import Client
from app.core.config import Settings
from app.core.exceptions import EmailTakenError, InvalidRegistrationTokenError
from app.core.rate_limit import AttemptLimiter
from app.core.security.registration_token import PendingRegistration, RegistrationTokenCodec
from app.mail.message import Mail
from app.mail.registration import link_mail, taken_mail
from app.models.audit_event import AuditAction
from app.models.email_key import email_key
from app.models.user import User
from app.repositories.user_repository import UserRepository
from app.schemas.auth_schemas import UserRegister
from app.services.audit_event_service import NOBODY, AuditTrail, Parties
from app.services.credential_service import CredentialService


class MailRegistrationService:
    """`post` takes a mail that leaves after the response: making it takes time, too."""

    def __init__(
        self,
        user_repo: UserRepository,
        credentials: CredentialService,
        audit: AuditTrail,
        *,
        tokens: RegistrationTokenCodec,
        post: Callable[[Mail], None],
        attempts: AttemptLimiter,
        settings: Settings,
    ) -> None:
        self.user_repo = user_repo
        self._credentials = credentials
        self._audit = audit
        self._tokens = tokens
        self._post = post
        self._attempts = attempts
        self._settings = settings

    async def request(self, data: UserRegister, client: Client) -> None:
        """Mail a link to an address that is free, and a notice to one that is not.

        Both cost the same, and nothing that is returned or raised differs. Raises
        `ValidationFailedError` for the password, and what the limiter and the hashing pool raise.
        """
        self._credentials.check_new(
            data.password, field="password", email=data.email, full_name=data.full_name
        )
        # Never forgiven here: what is counted is also how many mails somebody can be sent.
        await self._credentials.count_attempt(AuditAction.REGISTER, email_key(data.email), client)
        owner = await self.user_repo.find_by_email(data.email)
        await self.user_repo.release()
        token = await self._issue(data)
        if owner is None:
            mail = self._link_mail(data.email, token)
            await self._audit.record(AuditAction.REQUEST_REGISTRATION, NOBODY)
            await self.user_repo.commit()
        else:
            # To the address that the account has: another spelling may be another mailbox.
            mail = taken_mail(owner.email, app_name=self._settings.APP_NAME)
            await self._audit.refuse(AuditAction.REGISTER, EmailTakenError.code, NOBODY)
        self._post(mail)

    async def confirm(self, token: str, client: Client) -> User:
        """Create the account of a mailed token, once. It does not log in.

        Raises `InvalidRegistrationTokenError`, and `EmailTakenError`, which only somebody learns
        who can read the mail to that address.
        """
        await self._credentials.count_attempt_of_nobody(AuditAction.REGISTER, client)
        try:
            registration = self._tokens.read(token)
            # What was counted for this account is no failed login.
            await self._attempts.forgive(email_key(registration.email), client.address)
            user = await self._create(registration)
        except (EmailTakenError, InvalidRegistrationTokenError) as error:
            await self._audit.refuse(AuditAction.REGISTER, error.code, NOBODY)
            raise
        await self._audit.record(AuditAction.REGISTER, Parties.owner(user.public_id))
        await self.user_repo.commit()
        return user

    async def _issue(self, data: UserRegister) -> str:
        """A token for the registration, made for taken addresses too: it takes its time."""
        registration = PendingRegistration(
            public_id=str(uuid7()),
            email=data.email,
            full_name=data.full_name,
            password_hash=await self._credentials.hash_new(data.password),
        )
        return self._tokens.issue(registration)

    def _link_mail(self, recipient: str, token: str) -> Mail:
        return link_mail(
            recipient,
            token,
            app_name=self._settings.APP_NAME,
            public_url=self._settings.public_url,
            lifetime=self._tokens.lifetime,
        )

    async def _create(self, registration: PendingRegistration) -> User:
        earlier = await self.user_repo.get_by_public_id(
            registration.public_id, include_deleted=True
        )
        if earlier is not None and earlier.is_deleted:
            # Or an old mail would bring back an account that its owner has deleted.
            raise InvalidRegistrationTokenError
        return await self.user_repo.create_user(**registration.model_dump())
