from typing import Literal

from pydantic import Field

from mscr.schemas.base import ResponseSchema


class LivenessResponse(ResponseSchema):
    status: Literal["ok"] = "ok"


class HealthResponse(LivenessResponse):
    version: str = Field(examples=["1.4.0"])
