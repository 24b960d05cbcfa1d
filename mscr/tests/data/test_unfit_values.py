"""A row that the target refuses is explained by the value at fault, and by no other."""

from enum import Enum as PyEnum

from sqlalchemy import Column, Enum, Integer, MetaData, Table, make_url

from mscr.db.unfit_values import find_unfit


class Size(PyEnum):
    SMALL = "small"


DIALECT = make_url("postgresql+asyncpg://").get_dialect()()
BOXES = Table("boxes", MetaData(), Column("size", Enum(Size)), Column("weight", Integer))


def test_a_member_of_an_enum_is_not_taken_for_the_fault() -> None:
    row = {"size": Size.SMALL, "weight": 2**31}
    assert find_unfit(BOXES, row, DIALECT) == "weight is a number outside of 32 bits"
    assert find_unfit(BOXES, {"size": Size.SMALL, "weight": 1}, DIALECT) is None
