"""The dialect of RealWorld (Conduit)."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, Field

from mscr.http.dialect import Dialect, ErrorShape, TokenScheme


class ErrorTexts(BaseModel):
    body: list[str] = Field(examples=[["There is no such resource."]])


class ErrorResponse(BaseModel):
    errors: ErrorTexts


def error_body(problem: Mapping[str, Any]) -> dict[str, Any]:
    faults = [f"{field_of(fault)}: {fault['msg']}" for fault in problem.get("errors", ())]
    return {"errors": {"body": faults or [problem["detail"]]}}


def field_of(fault: Mapping[str, Any]) -> str:
    """Return the innermost name. Numbers are places in a list, or in a body that is no JSON."""
    return next(part for part in reversed(fault["loc"]) if isinstance(part, str))


DIALECT: Final = Dialect(
    errors=(ErrorShape("/api", ErrorResponse, error_body),),
    token_scheme=TokenScheme("Token", "Send `Token`, a space, and the token of a login."),
    integer_ids=frozenset({"comments"}),
)
