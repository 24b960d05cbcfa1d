from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from mscr.schemas.base import ResponseSchema as KitResponseSchema


class ResponseSchema(KitResponseSchema):
    """Base of responses: the contract writes names in camel case."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
