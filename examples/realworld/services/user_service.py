"""Registration, login and the caller's own account."""

from examples.realworld.models.user import User
from examples.realworld.schemas.user_schemas import UserRegister, UserUpdate
from mscr.core.client import Client
from mscr.core.exceptions import EmailTakenError, UnauthorizedError
from mscr.core.security.refresh_token import IssuedTokens
from mscr.models.email_key import email_key
from mscr.services.login_service import LoginService


def password_context(account: User | UserRegister) -> tuple[str, ...]:
    """List the texts of an account that its password must not consist of."""
    return account.email, *account.email.split("@"), account.username


class UserService(LoginService[User]):
    async def register_user(self, data: UserRegister, client: Client) -> IssuedTokens:
        return await self.register(data, client, context=password_context(data))

    async def find(self, email: str) -> User:
        """Return the account that has just logged in."""
        user = await self.user_repo.find_by_email(email)
        if user is None:
            raise UnauthorizedError
        return user

    async def get(self, user_id: int) -> User:
        user = await self.user_repo.get(user_id)
        if user is None:
            raise UnauthorizedError
        return user

    async def update(self, user_id: int, data: UserUpdate) -> User:
        """Raises `EmailTakenError` and `UsernameTakenError`."""
        user = await self.user_repo.lock(id=user_id)
        if user is None:
            raise UnauthorizedError
        values = data.model_dump(exclude_unset=True)
        if "email" in values:
            values["email_key"] = email_key(values["email"])
            other = await self.user_repo.find_by_email(values["email"])
            if other is not None and other is not user:
                raise EmailTakenError
        await self.user_repo.update(user, **values)
        await self.user_repo.commit()
        return user
