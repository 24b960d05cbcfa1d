"""Generated migrations import nothing of the models and run on both databases."""

from typing import Any
from unittest.mock import Mock

import pytest
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import DefaultClause, Text, false, func, text, true

from mscr.models.base import EncryptedText, ExactNumeric, UTCDateTime
from mscr.models.migrated_types import render_item

CONTEXT = Mock(AutogenContext)


@pytest.mark.parametrize(
    ("type_", "code"),
    [
        (UTCDateTime(), "sa.DateTime(timezone=True)"),
        (ExactNumeric(8, 2), 'sa.Numeric(8, 2).with_variant(sa.BigInteger(), "sqlite")'),
        (EncryptedText(), "sa.Text()"),
        (Text(), False),
    ],
)
def test_a_type_of_the_kit_is_rendered_as_one_of_sqlalchemy(type_: Any, code: Any) -> None:
    assert render_item("type", type_, CONTEXT) == code


@pytest.mark.parametrize(
    ("default", "code"),
    [
        (false(), "sa.false()"),
        (true(), "sa.true()"),
        (func.current_timestamp(), "sa.func.current_timestamp()"),
        (text("1"), False),
    ],
)
def test_a_default_is_rendered_without_a_dialect(default: Any, code: Any) -> None:
    assert render_item("server_default", DefaultClause(default), CONTEXT) == code


def test_anything_else_is_left_to_alembic() -> None:
    assert render_item("server_default", None, CONTEXT) is False
