from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.exceptions import EmailTakenError
from app.core.pagination import PageRequest, Slice
from app.models.email_key import as_typed_key, email_key
from app.models.user import (
    EMAIL_UNIQUE_INDEX,
    PUBLIC_ID_UNIQUE_INDEX,
    User,
    UserRole,
)
from app.repositories.base import BaseRepository, SortColumns
from app.repositories.filters import Filters, at_least, at_most, equals
from app.repositories.integrity import violates_unique

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


class UserRepository(BaseRepository[User]):
    def __init__(self, session: AsyncSession) -> None:
        super().__init__(User, session)

    async def find_by_email(self, email: str) -> User | None:
        """Find the account of an address; one that has it as typed comes first."""
        as_typed = as_typed_key(email)
        statement = self._select().where(User.email_key.in_((as_typed, email_key(email))))
        found = (await self.session.scalars(statement)).all()
        return max(found, key=lambda user: user.email_key == as_typed, default=None)

    async def create_user(self, *, email: str, **values: Any) -> User:
        """Raises `EmailTakenError`, also when another request takes the address meanwhile.

        Or takes the `public_id` that was given: then it creates the same account. What the
        transaction did before stays.
        """
        if await self.find_by_email(email):
            raise EmailTakenError
        try:
            async with self.savepoint():
                return await self.create(email=email, email_key=email_key(email), **values)
        except IntegrityError as error:
            unique = (EMAIL_UNIQUE_INDEX, PUBLIC_ID_UNIQUE_INDEX)
            if any(violates_unique(error, User, name) for name in unique):
                raise EmailTakenError from None
            raise

    async def replace_password_hash(self, user_id: int, *, old: str, new: str) -> None:
        """Set `new` where `old` still stands, so that a change in between is not undone."""
        await self.session.execute(
            update(User)
            .where(User.id == user_id, User.password_hash == old)
            .values(password_hash=new)
        )

    async def end_all_sessions(self, user_id: int) -> None:
        await self.session.execute(
            update(User).where(User.id == user_id).values(auth_version=User.auth_version + 1)
        )

    async def lock_active_admins(self) -> Sequence[int]:
        """Their ids. Locked in one order: of two who remove each other, one waits and then sees."""
        statement = (
            select(User.id)
            .where(User.role == UserRole.ADMIN, User.is_active, User.is_deleted.is_(False))
            .order_by(User.id)
            .with_for_update()
        )
        return (await self.session.scalars(statement)).all()

    async def list_page(self, request: PageRequest) -> Slice[User]:
        return await self._paginate(self._select(), request, SORTABLE, FILTERS)
