"""Registration that logs in at once. Logins are in the kit: `LoginService`.

With REGISTRATION_BY_MAIL, the kit's `MailRegistrationService` creates the account instead. A rule
about who may register belongs where both meet: in `UserRegister` (`schemas/auth_schemas.py`).
"""

from examples.catalogue.models.user import User
from examples.catalogue.schemas.auth_schemas import UserRegister
from mscr.core.client import Client
from mscr.core.security.refresh_token import IssuedTokens
from mscr.services.email_verification_service import EmailVerificationService
from mscr.services.login_service import LoginService


def password_context(account: User | UserRegister) -> tuple[str, ...]:
    """List the texts of an account, or of a registration, that its password must not consist of."""
    texts = account.email, *account.email.split("@"), account.full_name, account.affiliation
    return tuple(text for text in texts if text)


class AuthService(LoginService[User]):
    async def register_user(
        self,
        data: UserRegister,
        client: Client,
        verification: EmailVerificationService[User] | None = None,
    ) -> IssuedTokens:
        """Create the account and its first session.

        Raises `EmailTakenError`, `ValidationFailedError` for the password, and what the limiter
        and the hashing pool raise.
        """
        return await self.register(
            data, client, context=password_context(data), verification=verification
        )
