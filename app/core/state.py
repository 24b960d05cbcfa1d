"""The collaborators that live as long as the application, made once from its settings."""

from dataclasses import dataclass

from app.core.config import Settings
from app.core.pagination import CursorCodec, Pager
from app.core.rate_limit import AttemptLimiter, RequestLimiter
from app.core.security import keys
from app.core.security.encryption import EncryptionService
from app.core.security.jwt import JWTService
from app.core.security.password import PasswordService
from app.core.security.password_policy import PasswordPolicy
from app.core.security.refresh_token import ParallelUses, RefreshTokenCodec
from app.core.security.registration_token import RegistrationTokenCodec
from app.mail.dispatcher import MailDispatcher
from app.mail.mailer import create_mailer


@dataclass(frozen=True)
class Collaborators:
    settings: Settings
    access_tokens: JWTService
    refresh_tokens: RefreshTokenCodec
    parallel_uses: ParallelUses
    passwords: PasswordService
    password_policy: PasswordPolicy
    encryption: EncryptionService
    registrations: RegistrationTokenCodec
    mails: MailDispatcher
    attempts: AttemptLimiter
    requests: RequestLimiter
    pager: Pager

    @classmethod
    def from_settings(cls, settings: Settings) -> "Collaborators":
        def derived(purpose: str) -> list[bytes]:
            return keys.derive_keys(settings.SECRET_KEY, settings.SECRET_KEY_PREVIOUS, purpose)

        encryption = EncryptionService.from_settings(settings)
        return cls(
            settings=settings,
            access_tokens=JWTService.from_settings(settings),
            refresh_tokens=RefreshTokenCodec(derived(keys.REFRESH_TOKEN)),
            parallel_uses=ParallelUses(),
            passwords=PasswordService(settings),
            password_policy=PasswordPolicy(settings),
            encryption=encryption,
            registrations=RegistrationTokenCodec(
                encryption, lifetime=settings.registration_link_lifetime
            ),
            mails=MailDispatcher(
                create_mailer(settings),
                max_pending=settings.MAIL_MAX_PENDING,
                timeout=settings.smtp_timeout,
            ),
            attempts=AttemptLimiter(settings),
            requests=RequestLimiter(settings),
            pager=Pager(CursorCodec(derived(keys.CURSOR))),
        )
