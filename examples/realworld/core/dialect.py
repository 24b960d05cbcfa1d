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
    faults = [f"{fault['loc'][-1]}: {fault['msg']}" for fault in problem.get("errors", ())]
    return {"errors": {"body": faults or [problem["detail"]]}}


DIALECT: Final = Dialect(
    errors=(ErrorShape("/api", ErrorResponse, error_body),),
    token_scheme=TokenScheme("Token", "Send `Token`, a space, and the token of a login."),
    integer_ids=frozenset({"comments"}),
)
