"""Look up, create and update the accounts that log in."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import select, update

from mscr.core.exceptions import EmailTakenError
from mscr.models.account import AccountMixin
from mscr.models.email_key import as_typed_key, email_key
from mscr.models.uniqueness import unique_names
from mscr.queries.filters import filter_by_name
from mscr.queries.pagination import PageRequest, Slice
from mscr.repositories.base import BaseRepository
from mscr.repositories.connection import ConnectionMixin

AccountType = TypeVar("AccountType", bound=AccountMixin)


class AccountRepository(ConnectionMixin, BaseRepository[AccountType]):
    async def find_by_email(self, email: str) -> AccountType | None:
        """Return the account of an address, or None. Prefer the one with exactly this spelling."""
        as_typed = as_typed_key(email)
        statement = self._select().where(self.model.email_key.in_((as_typed, email_key(email))))
        found = (await self.session.scalars(statement)).all()
        return max(found, key=lambda user: user.email_key == as_typed, default=None)

    async def list_page(self, request: PageRequest) -> Slice[AccountType]:
        """Return a page of the accounts. Filters and orders follow from the names of columns."""
        mapper = self.model.__mapper__
        columns = {each.key: each.class_attribute for each in mapper.column_attrs}
        # An address has one place in the order, however it was typed.
        columns["email"] = self.model.email_key
        filters = {name: filter_by_name(mapper, name) for name in request.filters}
        return await self._paginate(self._select(), request, columns, filters)

    async def create_account(self, *, email: str, **values: Any) -> AccountType:
        """Add an account, without a commit. Override it to add what each account begins with.

        Registrations, by mail or not, and `create-user` call it, in the transaction that they
        commit. `values` are the other fields of the registration, as columns.

        Raise `EmailTakenError` if the address or the `public_id` is taken, and the error of
        `unique_errors` for another duplicate.

        Two parallel requests may both find the address free: the unique index then refuses the
        second one, with the same error. A taken `public_id` means that another request has created
        this very account. The savepoint keeps what the transaction wrote before.
        """
        if await self.find_by_email(email):
            raise EmailTakenError
        names = unique_names(self.model)
        identities = (names[("email_key",)], names[("public_id",)])
        taken = {**self.unique_errors, **dict.fromkeys(identities, EmailTakenError)}
        async with self._refusing(taken):
            return await self.create(email=email, email_key=email_key(email), **values)

    async def change_email(self, user: AccountType, email: str) -> None:
        """Give a locked account another address, without a commit.

        Raise `EmailTakenError` if another account has it: the unique index decides between
        parallel requests, as in `create_account`.
        """
        other = await self.find_by_email(email)
        if other is not None and other.id != user.id:
            raise EmailTakenError
        taken = {unique_names(self.model)[("email_key",)]: EmailTakenError}
        async with self._refusing(taken):
            await self.update(user, email=email, email_key=email_key(email))

    async def require_free(self, values: Mapping[str, Any]) -> None:
        """Raise the error of `unique_errors` if a living account has one of these values.

        Call it before slow work, and before a mail: `create_account` would refuse them later.
        """
        for columns, name in unique_names(self.model).items():
            wanted: dict[str, Any] = {column: values.get(column) for column in columns}
            is_given = name in self.unique_errors and None not in wanted.values()
            if is_given and await self.exists(**wanted):
                raise self.unique_errors[name]

    async def lock_active(self, **equal: Any) -> Sequence[int]:
        """Lock the active accounts whose columns equal the given values. Return their ids.

        They are locked in one order: of two callers, one waits and then sees the other's changes.
        """
        statement = (
            select(self.model.id)
            .filter_by(**equal)
            .where(self.model.is_active, self.model.is_deleted.is_(False))
            .order_by(self.model.id)
            .with_for_update()
        )
        return (await self.session.scalars(statement)).all()

    async def replace_password_hash(self, user_id: int, *, old: str, new: str) -> None:
        """Compare and swap: set `new` only if the hash is still `old`, to keep a newer password."""
        await self.session.execute(
            update(self.model)
            .where(self.model.id == user_id, self.model.password_hash == old)
            .values(password_hash=new)
        )

    async def end_all_sessions(self, user_id: int) -> None:
        """Raise the account's `auth_version`: sessions with a lower one are not live any more."""
        await self.session.execute(
            update(self.model)
            .where(self.model.id == user_id)
            .values(auth_version=self.model.auth_version + 1)
        )
