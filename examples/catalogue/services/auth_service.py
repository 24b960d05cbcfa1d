"""Registration that logs in at once. All else is in the kit."""

from examples.catalogue.models.user import User
from examples.catalogue.schemas.user_schemas import UserRegister
from mscr.core.client import Client
from mscr.core.security.refresh_token import IssuedTokens
from mscr.services.login_service import LoginService


def password_context(account: User | UserRegister) -> tuple[str, ...]:
    """List the texts of an account, or of a registration, that its password must not consist of."""
    texts = account.email, *account.email.split("@"), account.full_name, account.affiliation
    return tuple(text for text in texts if text)


class AuthService(LoginService[User]):
    async def register_user(self, data: UserRegister, client: Client) -> IssuedTokens:
        return await self.register(data, client, context=password_context(data))
