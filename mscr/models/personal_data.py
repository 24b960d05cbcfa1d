"""Words that declare which columns hold personal data. The deletion of an account erases those.

`mapped_column(String(40), info=PERSONAL)`: the word is in the column's `info`, which no migration
sees.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy import JSON, Column, Enum, LargeBinary, String, inspect

_IS_PERSONAL: Final = "is_personal"
_ERASED: Final = "erased"

# The deletion of an account sets the column to null.
PERSONAL: Final[dict[Any, Any]] = {_IS_PERSONAL: True}
# The deletion of an account leaves the column as it is.
NOT_PERSONAL: Final[dict[Any, Any]] = {_IS_PERSONAL: False}


def erased_as(value: Any) -> dict[Any, Any]:
    """Declare a personal column that cannot be null: the deletion of an account stores `value`.

    A function gets the row, and returns an expression of its columns:
    `info=erased_as(lambda row: row.public_id)` for a unique column.
    """
    return {_IS_PERSONAL: True, _ERASED: value}


def is_personal(column: Column[Any]) -> bool:
    """Return whether a column is declared as personal data."""
    return bool(column.info.get(_IS_PERSONAL))


def columns_of(model: type[Any]) -> dict[str, Column[Any]]:
    """Return the columns of a model's table, by the names of its attributes."""
    attributes = inspect(model).column_attrs
    first = ((each.key, each.columns[0]) for each in attributes)
    return {name: column for name, column in first if isinstance(column, Column)}


def erased_values(columns: Mapping[str, Column[Any]], row: Any) -> dict[str, Any]:
    """Return what erases the personal columns, by their names. `row` has all columns by name."""
    values = {}
    for name, column in columns.items():
        if is_personal(column):
            value = column.info.get(_ERASED)
            values[name] = value(row) if callable(value) else value
    return values


def declaration_faults(
    owner: str, columns: Mapping[str, Column[Any]], *, every_column: bool
) -> Iterator[str]:
    """Yield a line for each column whose declaration is missing, or cannot be carried out.

    `owner` names the model or table in the lines. Without `every_column`, only columns that can
    hold text must be declared.
    """
    for name, column in columns.items():
        info = column.info
        if _IS_PERSONAL not in info:
            if column.computed is None and (every_column or holds_text(column)):
                yield (
                    f"{owner}.{name} is declared neither personal nor not personal: "
                    "add info=PERSONAL or info=NOT_PERSONAL to the column"
                )
        elif info[_IS_PERSONAL] and _ERASED not in info and not column.nullable:
            yield (
                f"{owner}.{name} is personal, and cannot be null: "
                "declare what replaces it, by info=erased_as(...)"
            )


def holds_text(column: Column[Any]) -> bool:
    """Return whether people can write a text into a column, be it in JSON or encrypted."""
    kind = getattr(column.type, "impl_instance", column.type)
    is_text = isinstance(kind, String | JSON | LargeBinary) and not isinstance(kind, Enum)
    return is_text and not column.foreign_keys
