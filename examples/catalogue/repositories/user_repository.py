from sqlalchemy.ext.asyncio import AsyncSession

from examples.catalogue.models.user import User
from mscr.repositories.account_repository import AccountRepository


class UserRepository(AccountRepository[User]):
    def __init__(self, session: AsyncSession) -> None:
        super().__init__(User, session)
