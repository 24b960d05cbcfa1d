from sqlalchemy.ext.asyncio import AsyncSession

from examples.catalogue.models.user import User
from mscr.queries.filters import Filters, at_least, at_most, equals
from mscr.queries.pagination import PageRequest, Slice
from mscr.queries.paging import SortColumns
from mscr.repositories.account_repository import AccountRepository

SORTABLE: SortColumns = {
    "created_at": User.created_at,
    "email": User.email_key,
}
FILTERS: Filters = {
    "is_active": equals(User.is_active),
    "role": equals(User.role),
    "created_at_gte": at_least(User.created_at),
    "created_at_lte": at_most(User.created_at),
}


class UserRepository(AccountRepository[User]):
    def __init__(self, session: AsyncSession) -> None:
        super().__init__(User, session)

    async def list_page(self, request: PageRequest) -> Slice[User]:
        return await self._paginate(self._select(), request, SORTABLE, FILTERS)
