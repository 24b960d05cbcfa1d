"""The declarative base, and the mixins that models are composed from."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Integer,
    Numeric,
    String,
    Table,
    Text,
    false,
    func,
)
from sqlalchemy.orm import (
    InstrumentedAttribute,
    Mapped,
    declared_attr,
    mapped_column,
)
from sqlalchemy.types import TypeDecorator, TypeEngine
from uuid_utils.compat import uuid7

from mscr.models.indexes import living_index
from mscr.models.personal_data import NOT_PERSONAL

if TYPE_CHECKING:
    from sqlalchemy import FromClause, MetaData
    from sqlalchemy.orm import Mapper, registry

# Migrations can alter constraints that have a name, and errors are recognized by it.
NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# For tables that outgrow 32 bits. SQLite generates keys only for a column of type INTEGER.
BigIntegerKey = BigInteger().with_variant(Integer, "sqlite")

# The most digits that always fit into 64 bits.
MAX_EXACT_DIGITS: Final = 18

# The beginning of a Fernet token in base64: its version, and the zero upper bytes of its timestamp.
_FERNET_BEGINNING: Final = "gAAAA"


def utcnow() -> datetime:
    return datetime.now(UTC)


def new_public_id() -> str:
    return str(uuid7())


class UTCDateTime(TypeDecorator[datetime]):
    """Aware datetimes in UTC on every database. SQLite stores no time zone itself."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002  # SQLAlchemy's name
    ) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("the database stores no naive datetimes: give it a time zone")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002  # SQLAlchemy's name
    ) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class ExactNumeric(TypeDecorator[Decimal]):
    """Exact decimals: NUMERIC on PostgreSQL, integers of the smallest unit on SQLite.

    SQLite's own NUMERIC would be a float. Comparisons, sorting and SUM work as on PostgreSQL, but
    raw SQL on SQLite sees 1250 for 12.50. At most 18 digits, which fit into 64 bits.
    """

    impl = Numeric
    cache_ok = True

    def __init__(self, precision: int, scale: int) -> None:
        if not 0 <= scale <= precision <= MAX_EXACT_DIGITS:
            raise ValueError(f"needs 0 <= scale <= precision <= {MAX_EXACT_DIGITS}")
        super().__init__(precision, scale)
        self.precision = precision
        self.scale = scale

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        on_sqlite = dialect.name == "sqlite"
        return dialect.type_descriptor(BigInteger() if on_sqlite else self.impl_instance)

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return int(Decimal(value).scaleb(self.scale))

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        if value is None or dialect.name != "sqlite":
            return None if value is None else Decimal(value)
        return Decimal(value).scaleb(-self.scale)


class EncryptedText(TypeDecorator[str]):
    """A column of ciphertexts. It refuses plaintext with `ValueError`, and does not encrypt itself.

    The service that uses the column encrypts and decrypts, by `EncryptionService` with the
    column's `encryption_context()`. `python cli.py rotate-encryption` re-encrypts all columns of
    this type.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(
        self,
        value: str | None,
        dialect: Dialect,  # noqa: ARG002  # SQLAlchemy's name
    ) -> str | None:
        if value is not None and not value.startswith(_FERNET_BEGINNING):
            raise ValueError("this column stores encrypted text only")
        return value


def encryption_context(
    column: InstrumentedAttribute[Any] | Column[Any], public_id: UUID | str
) -> str:
    """Return the `context=` of `EncryptionService` for one value: its table, row and column.

    Raise `TypeError` if the column is not of type `EncryptedText`. Key rotation would skip such a
    column, and its values could not be decrypted once the old key is removed.
    """
    if not isinstance(column.type, EncryptedText):
        raise TypeError(f"{column} is not a column of type EncryptedText")
    return f"{column.table.name}:{public_id}:{column.name}"


# Column types by annotation, for `DeclarativeBase.type_annotation_map`.
TYPE_ANNOTATION_MAP: Final[dict[Any, Any]] = {datetime: UTCDateTime}


class SoftDeleteMixin:
    """Soft delete: rows are marked as deleted (tombstones). Every model has it through `Base`."""

    is_deleted: Mapped[bool] = mapped_column(
        default=False, server_default=false(), sort_order=990, info=NOT_PERSONAL
    )
    deleted_at: Mapped[datetime | None] = mapped_column(
        UTCDateTime, default=None, sort_order=991, info=NOT_PERSONAL
    )

    def soft_delete(self) -> None:
        self.is_deleted = True
        self.deleted_at = utcnow()

    def restore(self) -> None:
        self.is_deleted = False
        self.deleted_at = None


class TimestampMixin:
    """`created_at` and `updated_at`, set by the ORM and, for raw SQL, by the database."""

    created_at: Mapped[datetime] = mapped_column(
        UTCDateTime,
        default=utcnow,
        server_default=func.current_timestamp(),
        sort_order=980,
        info=NOT_PERSONAL,
    )
    updated_at: Mapped[datetime] = mapped_column(
        UTCDateTime,
        default=utcnow,
        onupdate=utcnow,
        server_default=func.current_timestamp(),
        sort_order=981,
        info=NOT_PERSONAL,
    )


class PublicIdMixin:
    """The id in the API. It is a UUIDv7: new ids are the greatest, so the index stays compact."""

    public_id: Mapped[str] = mapped_column(
        String(36),
        unique=True,
        index=True,
        default=new_public_id,
        sort_order=-1,
        info=NOT_PERSONAL,
    )


class VersionMixin:
    """An optimistic lock: each change raises `version`, and a change of an outdated row is refused.

    The ORM adds `WHERE version = <the one that was read>` to its UPDATEs. It raises
    `StaleDataError` (409) if a concurrent change has raised the version, which prevents a lost
    update. Statements built with `update()` must raise the version themselves.
    """

    version: Mapped[int] = mapped_column(
        default=1, server_default="1", sort_order=982, info=NOT_PERSONAL
    )

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:  # noqa: N805  # it is called with the class
        return {"version_id_col": cls.version}


class OwnedMixin(PublicIdMixin, TimestampMixin, VersionMixin):
    """A row that belongs to a user: public id, times, version, and an index for the owner's list.

    The application's own `OwnedMixin` adds the column `owner_id`, which refers to its accounts.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # Not `__table_args__`, which a model's own would replace.
        if isinstance(table := cls.__dict__.get("__table__"), Table):
            columns = (table.c.owner_id, table.c.created_at, table.c.public_id)
            living_index(f"ix_{table.name}_owner_id_created_at", *columns)


class ModelBase(SoftDeleteMixin):
    """The base of every model: soft delete, and an integer key for joins.

    The integer key never leaves the application. An application declares its own base from this
    one: `class Base(ModelBase, DeclarativeBase)`, with `NAMING_CONVENTION` and
    `TYPE_ANNOTATION_MAP`.
    """

    if TYPE_CHECKING:
        # `DeclarativeBase` sets these on each model.
        __table__: ClassVar[FromClause]
        __tablename__: Any
        __mapper__: ClassVar[Mapper[Any]]
        metadata: ClassVar[MetaData]
        registry: ClassVar["registry"]

    id: Mapped[int] = mapped_column(primary_key=True, sort_order=-2, info=NOT_PERSONAL)

    def __repr__(self) -> str:
        # The public id only: a repr goes into logs, and any other column could be a secret.
        return f"<{type(self).__name__} {self.__dict__.get('public_id', '-')}>"
