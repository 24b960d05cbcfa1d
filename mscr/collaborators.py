"""The objects that all requests share (collaborators), made once from the settings."""

from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

from mscr.connections.public_client import PublicClient
from mscr.core.config import Settings
from mscr.core.rate_limit import AttemptLimiter, RequestLimiter
from mscr.core.security import keys
from mscr.core.security.encryption import EncryptionService
from mscr.core.security.jwt import JWTService
from mscr.core.security.password import PasswordService
from mscr.core.security.password_policy import PasswordPolicy
from mscr.core.security.refresh_token import ParallelUses, RefreshTokenCodec
from mscr.core.security.registration_token import RegistrationTokenCodec
from mscr.mail.mailer import Mailer, create_mailer
from mscr.mail.templates import MailTemplates
from mscr.queries.cursors import CursorCodec
from mscr.queries.pagination import Pager


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
    mailer: Mailer
    mails: MailTemplates
    public_client: PublicClient
    attempts: AttemptLimiter
    requests: RequestLimiter
    pager: Pager

    @classmethod
    def from_settings(cls, settings: Any) -> Self:
        """Return the objects for the application's settings. A subclass adds its own."""
        return cls(**kit_collaborators(settings))

    def closing(
        self,
        within: timedelta,  # noqa: ARG002  # for collaborators that an application adds
    ) -> dict[str, Coroutine[Any, Any, None]]:
        """Return the coroutines that the application awaits at shutdown, by names for the log."""
        return {
            "attempts": self.attempts.close(),
            "requests": self.requests.close(),
        }


def kit_collaborators(settings: Settings) -> dict[str, Any]:
    """Return the fields of `Collaborators` by name. A subclass adds its own."""

    def derived(purpose: str) -> list[bytes]:
        return keys.derive_keys(settings.SECRET_KEY, settings.SECRET_KEY_PREVIOUS, purpose)

    encryption = EncryptionService.from_settings(settings)
    return {
        "settings": settings,
        "access_tokens": JWTService.from_settings(settings),
        "refresh_tokens": RefreshTokenCodec(derived(keys.REFRESH_TOKEN)),
        "parallel_uses": ParallelUses(),
        "passwords": PasswordService(settings),
        "password_policy": PasswordPolicy(settings),
        "encryption": encryption,
        "registrations": RegistrationTokenCodec(
            encryption, lifetime=settings.registration_link_lifetime
        ),
        "mailer": create_mailer(settings),
        "mails": MailTemplates.of(settings),
        "public_client": PublicClient(),
        "attempts": AttemptLimiter(settings),
        "requests": RequestLimiter(settings),
        "pager": Pager(CursorCodec(derived(keys.CURSOR))),
    }
