from typing import Literal

from app.schemas.base import ResponseSchema


class LivenessResponse(ResponseSchema):
    status: Literal["ok"] = "ok"


class HealthResponse(LivenessResponse):
    version: str
