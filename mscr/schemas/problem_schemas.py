"""RFC 9457 problems as OpenAPI shows them, and the faults that validation found."""

from collections.abc import Sequence
from typing import Any, Final, Literal

from pydantic import MISSING, BaseModel, Field

# A body of a megabyte may have 70,000 unknown fields, or one whose name is a megabyte long.
MAX_FAULTS: Final = 50
MAX_NAME_LENGTH: Final = 100

# Pydantic's messages for these quote a part of the input.
_FIXED_MESSAGES = {
    "uuid_parsing": "Input should be a valid UUID",
    "json_invalid": "The body is not valid JSON, in UTF-8",
    "extra_forbidden": "There is no such field",
    "model_attributes_type": "Input should be a JSON object",
}
# For the whole body: most often, the client omitted the Content-Type of JSON.
_NO_OBJECT = "Send a JSON object, with Content-Type: application/json"


class FieldProblem(BaseModel):
    """A fault of one value of the request, without the value itself."""

    loc: list[str | int] = Field(description="Location: body, query or path, then the field.")
    msg: str
    type: str


class Problem(BaseModel):
    """RFC 9457 problem details. `code` is stable; `detail` is for people and may change."""

    type: str = Field(examples=["urn:problem-type:not_found"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no such resource."])
    instance: str = Field(examples=["urn:request:0b9f6d0e54c04e3a8c9a4a4b0a3a5c11"])
    success: Literal[False]
    code: str = Field(examples=["not_found"])
    request_id: str = Field(examples=["0b9f6d0e54c04e3a8c9a4a4b0a3a5c11"])
    errors: list[FieldProblem] | MISSING = Field(
        default=MISSING,
        description="The invalid values or rows of the request; absent if there are none.",
    )


def field_problems(faults: Sequence[Any]) -> list[dict[str, Any]]:
    """Return validation faults for a response: without the values, and at most `MAX_FAULTS`."""
    return [
        {
            "loc": [p[:MAX_NAME_LENGTH] if isinstance(p, str) else p for p in fault["loc"]],
            "msg": _message(fault),
            "type": fault["type"],
        }
        for fault in faults[:MAX_FAULTS]
    ]


def _message(fault: Any) -> str:
    if fault["type"] == "model_attributes_type" and tuple(fault["loc"]) == ("body",):
        return _NO_OBJECT
    return str(_FIXED_MESSAGES.get(fault["type"], fault["msg"]))
