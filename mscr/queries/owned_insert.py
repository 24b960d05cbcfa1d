"""Insert a row that belongs to a user, in one statement."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from sqlalchemy import ColumnDefault, ColumnElement, String, bindparam, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from mscr.core.exceptions import UnauthorizedError
from mscr.core.security.principal import Principal
from mscr.models.base import ModelBase, UTCDateTime, new_public_id, utcnow
from mscr.models.ownership import account_of
from mscr.queries.column_bounds import require_fit
from mscr.queries.prepared_statement import PreparedStatement
from mscr.queries.shown_columns import stored_columns
from mscr.queries.shown_rows import ShownRow

if TYPE_CHECKING:
    from mscr.models.account import AccountMixin

# Its parameters are named after columns. No column has this name.
_NOW: Final = "_now"


class OwnedInsert:
    """Insert a row of a living owner, commit, and return it: one round trip instead of four.

    The model needs `PublicIdMixin`, `TimestampMixin` and an `owner_id` that refers to an account.
    `columns` take their values from `run`, all others their defaults in the database or, if they
    are SQL expressions, in the model. The returned row has the columns of `returning`, and
    `owner_public_id`.
    """

    def __init__(
        self,
        model: type[ModelBase],
        columns: Sequence[InstrumentedAttribute[Any]],
        returning: Sequence[ColumnElement[Any] | InstrumentedAttribute[Any]],
    ) -> None:
        self._model = model
        account = cast("type[AccountMixin]", account_of(model.__mapper__))
        stored = stored_columns(model)
        now = bindparam(_NOW, type_=UTCDateTime())
        values: dict[str, Any] = {
            "public_id": bindparam("public_id", type_=String),
            "created_at": now,
            "updated_at": now,
            "owner_id": account.id,
            **_sql_defaults(model),
            **{column.key: _bind(column) for column in columns},
        }
        # INSERT ... SELECT ... FOR KEY SHARE locks the owner's row before the insert, with the lock
        # that the check of a foreign key takes. If a deletion of the account came first, the
        # statement waits for it, and then finds no living owner. A later deletion waits, and then
        # deletes the new row too.
        owner = (
            select(*values.values())
            .where(account.id == bindparam("owner_id", type_=account.id.type))
            .where(account.is_deleted.is_(False))
            .with_for_update(read=True, key_share=True)
        )
        owner_public_id = bindparam("owner_public_id", type_=String).label("owner_public_id")
        self._statement = PreparedStatement(
            insert(model)
            .from_select([stored[name] for name in values], owner, include_defaults=False)
            .returning(*returning, owner_public_id)
        )

    async def run(self, session: AsyncSession, owner: Principal, /, **values: Any) -> ShownRow:
        """Insert the row. Warning: this commits at once, so it must be the use case's only write.

        Raise `UnauthorizedError` if the owner's account was deleted meanwhile, and
        `ValidationFailedError` for a value that its column cannot hold.
        """
        require_fit(self._model, values)
        row: ShownRow | None = await self._statement.one_or_none(
            session,
            public_id=new_public_id(),
            owner_id=owner.user_id,
            owner_public_id=owner.public_id,
            **{_NOW: utcnow()},
            **values,
        )
        if row is None:
            raise UnauthorizedError
        return row


def _sql_defaults(model: type[ModelBase]) -> dict[str, Any]:
    """Return the defaults of the model that are SQL expressions, by the names of the columns."""
    defaults = {name: column.default for name, column in stored_columns(model).items()}
    return {
        name: default.arg
        for name, default in defaults.items()
        if isinstance(default, ColumnDefault) and default.is_clause_element
    }


def _bind(column: InstrumentedAttribute[Any]) -> Any:
    # Without a length: PostgreSQL truncates a longer value in a cast to VARCHAR(n).
    plain = type(column.type) is String
    return bindparam(column.key, type_=String() if plain else column.type)
