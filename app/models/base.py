"""The declarative base, and the mixins that models are composed from."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar, Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Integer,
    MetaData,
    Numeric,
    String,
    Text,
    false,
    func,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    InstrumentedAttribute,
    Mapped,
    declared_attr,
    mapped_column,
)
from sqlalchemy.types import TypeDecorator, TypeEngine
from uuid_utils.compat import uuid7

# Named constraints can be altered by a migration, and mapped to an error by their name.
NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# For tables that outgrow 32 bits. SQLite counts rowids only in a column typed INTEGER.
BigIntegerKey = BigInteger().with_variant(Integer, "sqlite")

# An integer of 64 bits has 18 digits, whichever they are.
MAX_EXACT_DIGITS: Final = 18

# In base64: Fernet's version, and the upper bytes of its time, which will be zero for very long.
_FERNET_BEGINNING: Final = "gAAAA"


def utcnow() -> datetime:
    return datetime.now(UTC)


def new_public_id() -> str:
    return str(uuid7())


class UTCDateTime(TypeDecorator[datetime]):
    """Aware datetimes in UTC on every database; SQLite itself keeps no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("a naive datetime has no place in the database")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class ExactNumeric(TypeDecorator[Decimal]):
    """Exact decimals on every database: NUMERIC, and on SQLite integers of the smallest unit.

    SQLite's own NUMERIC is a float. Comparing, sorting and SUM work there as on PostgreSQL; raw SQL
    sees 1250 for 12.50. At most 18 digits, as 64 bits hold no more.
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
    """What `EncryptionService` made of a text; the table never sees the text itself.

    A column of this type is re-encrypted by `python cli.py rotate-encryption`. The service that
    writes and reads it encrypts and decrypts, with `encryption_context()` of the column.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _: Dialect) -> str | None:
        if value is not None and not value.startswith(_FERNET_BEGINNING):
            raise ValueError("a text that is not encrypted has no place in this column")
        return value


def encryption_context(
    column: InstrumentedAttribute[Any] | Column[Any], public_id: UUID | str
) -> str:
    """The place of an encrypted value, `context=` of `EncryptionService`: table, row and column.

    Raises `TypeError` for a column that the rotation of keys would pass over: what is in it
    could not be read any more when the old key is gone.
    """
    if not isinstance(column.type, EncryptedText):
        raise TypeError(f"{column} is no column of type EncryptedText")
    return f"{column.table.name}:{public_id}:{column.name}"


class SoftDeleteMixin:
    """Rows that are marked instead of removed. Inherited by every model through `Base`."""

    is_deleted: Mapped[bool] = mapped_column(default=False, server_default=false(), sort_order=990)
    deleted_at: Mapped[datetime | None] = mapped_column(UTCDateTime, default=None, sort_order=991)

    def soft_delete(self) -> None:
        self.is_deleted = True
        self.deleted_at = utcnow()

    def restore(self) -> None:
        self.is_deleted = False
        self.deleted_at = None


class TimestampMixin:
    """`created_at` and `updated_at`, set by the ORM and, for raw SQL, by the database."""

    created_at: Mapped[datetime] = mapped_column(
        UTCDateTime, default=utcnow, server_default=func.current_timestamp(), sort_order=980
    )
    updated_at: Mapped[datetime] = mapped_column(
        UTCDateTime,
        default=utcnow,
        onupdate=utcnow,
        server_default=func.current_timestamp(),
        sort_order=981,
    )


class PublicIdMixin:
    """The id that the API shows. UUIDv7: ordered by time, so that its index stays compact."""

    public_id: Mapped[str] = mapped_column(
        String(36), unique=True, index=True, default=new_public_id, sort_order=-1
    )


class VersionMixin:
    """A number that each change raises: of two who change what both have read, one is refused.

    The ORM writes `WHERE version = <the one that was read>`, and raises `StaleDataError` (409) when
    there is no such row any more. Statements of `update()` raise it themselves.
    """

    version: Mapped[int] = mapped_column(default=1, server_default="1", sort_order=982)

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:  # noqa: N805  # it is called with the class
        return {"version_id_col": cls.version}


class Base(DeclarativeBase, SoftDeleteMixin):
    """Every model has an integer key for joins, which never leaves the application."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UTCDateTime}

    id: Mapped[int] = mapped_column(primary_key=True, sort_order=-2)

    def __repr__(self) -> str:
        # The public id only: any other column could be a secret, and this goes into logs.
        return f"<{type(self).__name__} {self.__dict__.get('public_id', '-')}>"
