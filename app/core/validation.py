"""What all input has in common, whether it comes in a body or in a query."""

from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator
from pydantic_core import PydanticCustomError


class InputModel(BaseModel):
    """Refuses unknown fields, and text with a NUL in it.

    PostgreSQL cannot store NUL, and SQLite would keep what PostgreSQL refuses.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    @field_validator("*")
    @classmethod
    def _refuse_nul(cls, value: Any) -> Any:
        texts = value if isinstance(value, list) else [value]
        if any(isinstance(text, str) and "\0" in text for text in texts):
            raise PydanticCustomError("string_nul", "Text must not contain the NUL character")
        return value
