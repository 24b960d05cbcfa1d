from typing import Literal

from pydantic import Field

from app.schemas.base import ResponseSchema


class LivenessResponse(ResponseSchema):
    status: Literal["ok"] = "ok"


class HealthResponse(LivenessResponse):
    version: str = Field(examples=["1.4.0"])
