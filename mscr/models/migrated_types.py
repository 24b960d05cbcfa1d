"""Render the column types and defaults of models in new migrations (Alembic autogenerate)."""

from typing import Any, Final, Literal

from alembic.autogenerate.api import AutogenContext
from sqlalchemy import DefaultClause, False_, True_
from sqlalchemy.sql.functions import current_timestamp

from mscr.models.base import EncryptedText, ExactNumeric, UTCDateTime

# Alembic would render them in the dialect of the connected database: PostgreSQL takes 0 for no
# boolean.
PORTABLE_DEFAULTS: Final[dict[type, str]] = {
    False_: "sa.false()",
    True_: "sa.true()",
    current_timestamp: "sa.func.current_timestamp()",
}


def render_item(kind: str, obj: Any, _: AutogenContext) -> str | Literal[False]:
    """Render types and defaults that work on both databases and import nothing from the models."""
    if kind == "type" and isinstance(obj, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(obj, ExactNumeric):
        return f'sa.Numeric({obj.precision}, {obj.scale}).with_variant(sa.BigInteger(), "sqlite")'
    if kind == "type" and isinstance(obj, EncryptedText):
        return "sa.Text()"
    if kind == "server_default" and isinstance(obj, DefaultClause):
        return PORTABLE_DEFAULTS.get(type(obj.arg), False)
    return False
