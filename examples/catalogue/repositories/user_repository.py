from examples.catalogue.models.user import User
from mscr.repositories.account_repository import AccountRepository


class UserRepository(AccountRepository[User]):
    model = User
