"""The application's tables that the kit reads and writes."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from sqlalchemy import inspect
from sqlalchemy.orm import MappedColumn

from mscr.models.account import AccountMixin
from mscr.models.audit_event import AuditEventMixin
from mscr.models.base import ModelBase
from mscr.models.idempotency_key import IdempotencyKeyMixin
from mscr.models.job import JobMixin
from mscr.models.mailed_link import MailedLinkMixin
from mscr.models.personal_data import columns_of, declaration_faults
from mscr.models.refresh_token import RefreshTokenMixin
from mscr.models.uniqueness import unique_names

T = TypeVar("T")


class Tables:
    """The models of one application; a process may have several applications.

    Statements are built from these models once, by `prepared()`.
    """

    def __init__(
        self,
        *,
        user: type[AccountMixin],
        refresh_token: type[RefreshTokenMixin],
        audit_event: type[AuditEventMixin],
        idempotency_key: type[IdempotencyKeyMixin],
        job: type[JobMixin],
        mailed_link: type[MailedLinkMixin],
    ) -> None:
        """Raise `TypeError`, in one line, if models lack columns, constraints or indexes.

        It also names columns of the users that are not declared as personal data or not.
        """
        self.user = user
        self.refresh_token = refresh_token
        self.audit_event = audit_event
        self.idempotency_key = idempotency_key
        self.job = job
        self.mailed_link = mailed_link
        self._prepared: dict[Any, Any] = {}
        # Report missing columns first: their indexes are missing anyway.
        faults = [*self._missing_columns()] or [*self._missing_rules(), *self._undeclared()]
        if faults:
            raise TypeError("; ".join(faults))
        self.metadata = user.metadata

    def prepared(self, make: Callable[["Tables"], T]) -> T:
        """Return the result of `make(self)`, which only the first call computes."""
        if make not in self._prepared:
            self._prepared[make] = make(self)
        found: T = self._prepared[make]
        return found

    def _missing_columns(self) -> Iterator[str]:
        """Yield missing columns: a model may have replaced inherited ones."""
        kinds = (
            (self.user, AccountMixin, ()),
            (self.refresh_token, RefreshTokenMixin, ("user_id",)),
            (self.audit_event, AuditEventMixin, ()),
            (self.idempotency_key, IdempotencyKeyMixin, ("user_id",)),
            (self.job, JobMixin, ()),
            (self.mailed_link, MailedLinkMixin, ("user_id",)),
        )
        for model, mixin, more in kinds:
            mapped = inspect(model).column_attrs
            needed = (*_columns_of(mixin), *more)
            yield from (f"{model.__name__} has no column {n}" for n in needed if n not in mapped)

    def _missing_rules(self) -> Iterator[str]:
        """Yield missing constraints and indexes: a model's `__table_args__` replace its mixins'."""
        yield from _not_unique(self.user, "email_key")
        yield from _not_unique(self.user, "public_id")
        yield from _not_unique(self.refresh_token, "public_id")
        yield from _not_unique(self.idempotency_key, "user_id", "operation", "key_digest")
        yield from _not_unique(self.job, "public_id")
        yield from _not_unique(self.mailed_link, "user_id", "purpose")
        yield from _not_unique(self.mailed_link, "digest")
        yield from _not_unique(self.job, "schedule")
        yield from _not_indexed(self.job, "due_at")
        yield from _not_indexed(self.mailed_link, "expires_at")
        yield from _not_indexed(self.refresh_token, "user_id")
        yield from _not_indexed(self.audit_event, "occurred_at")
        yield from _not_indexed(self.audit_event, "account_public_id")
        yield from _not_indexed(self.audit_event, "actor_public_id")
        yield from self._no_user_key(self.refresh_token)
        yield from self._no_user_key(self.idempotency_key)
        yield from self._no_user_key(self.mailed_link)
        for model in (self.audit_event, self.job):
            if model.metadata is not self.user.metadata:
                yield f"{model.__name__} and {self.user.__name__} have different MetaData"

    def _undeclared(self) -> Iterator[str]:
        """Yield columns of the users that the deletion of an account would not erase.

        Tests check the other tables (`mscr.testing.route_checks.deletion`): their models may not be
        imported yet.
        """
        columns = columns_of(self.user)
        yield from declaration_faults(self.user.__name__, columns, every_column=True)

    def _no_user_key(self, model: type[ModelBase]) -> Iterator[str]:
        users = self.user.__table__
        keys = model.__table__.c.user_id.foreign_keys
        if model.metadata is not self.user.metadata or not any(
            key.column.table is users and key.ondelete == "CASCADE" for key in keys
        ):
            yield (
                f"{model.__name__}.user_id has no foreign key to {self.user.__name__} "
                "with ON DELETE CASCADE"
            )


def _columns_of(mixin: type[ModelBase]) -> list[str]:
    declared = (vars(base).items() for base in mixin.__mro__)
    return [name for items in declared for name, it in items if isinstance(it, MappedColumn)]


def _not_unique(model: type[ModelBase], *columns: str) -> Iterator[str]:
    if columns not in unique_names(model):
        yield f"{model.__name__} has no unique constraint or index of {', '.join(columns)}"


def _not_indexed(model: type[ModelBase], column: str) -> Iterator[str]:
    indexes = inspect(model).local_table.indexes
    if not any(index.columns.keys()[:1] == [column] for index in indexes):
        yield f"{model.__name__} has no index that begins with {column}"
