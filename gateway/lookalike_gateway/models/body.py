"""Read bodies of JSON, which hold nothing but what their models say."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Body(BaseModel):
    """A body is read strictly: no text is taken for a number, and no field that is not known is left out."""

    model_config = ConfigDict(strict=True, extra="forbid", alias_generator=to_camel)
