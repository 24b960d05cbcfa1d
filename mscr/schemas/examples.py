"""Example objects of a schema, for the documentation."""

from datetime import UTC, datetime
from itertools import count
from typing import Any, Final, TypeVar
from uuid import UUID

from pydantic import BaseModel

SchemaT = TypeVar("SchemaT", bound=BaseModel)

_TIME: Final = datetime(2027, 1, 31, 12, tzinfo=UTC)
_FIRST_ID: Final = UUID("0191a2b3-c4d5-7e6f-8a9b-0c1d2e3f4a5b")


def example_of(schema: type[SchemaT], **values: Any) -> SchemaT:
    """Return an object with these values, and the first of the `examples` of each other field.

    Ids and times get an example by their type.
    """
    numbers = count(_FIRST_ID.int)
    example: dict[str, Any] = {}
    for name, field in schema.model_fields.items():
        if field.examples:
            example[name] = field.examples[0]
        elif field.annotation is UUID:
            example[name] = UUID(int=next(numbers))
        elif field.annotation is datetime:
            example[name] = _TIME
    return schema.model_validate(example | values)
