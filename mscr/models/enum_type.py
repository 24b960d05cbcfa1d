"""The column type of an enum."""

from enum import Enum as PyEnum

from sqlalchemy import Enum


def enum_type(
    choices: type[PyEnum], *, length: int, name: str | None = None, constrained: bool = True
) -> Enum:
    """Store an enum by its value, in a VARCHAR of this length.

    The check constraint has the given `name`. Without a constraint, a new value of the enum needs
    no migration; a value that the enum no longer has raises `LookupError` when a row is read.
    """
    return Enum(
        choices,
        name=name,
        native_enum=False,
        create_constraint=constrained,
        length=length,
        values_callable=lambda members: [member.value for member in members],
    )
