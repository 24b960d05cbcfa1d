from examples.realworld.core.exceptions import UsernameTakenError
from examples.realworld.models.user import USERNAME_UNIQUE, User
from mscr.repositories.account_repository import AccountRepository


class UserRepository(AccountRepository[User]):
    model = User
    unique_errors = {USERNAME_UNIQUE: UsernameTakenError}  # noqa: RUF012  # the kit's annotation
