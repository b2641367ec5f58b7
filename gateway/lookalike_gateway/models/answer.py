"""Answers are made of the library's records, and are what the OpenAPI document says of them."""

from typing import Annotated, Final

from pydantic import AfterValidator, AliasGenerator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

SHA256: Final = "^[0-9a-f]{64}$"
Count = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern=SHA256, description="The image file's hash, in hexadecimal.")]
PageToken = Annotated[
    str, Field(description="Where the next page begins: `page_token` of the next request; empty on the last page.")
]


class Answer(BaseModel):
    """An answer is made of a record whose attributes are called like its fields, or as `validation_alias` says."""

    model_config = ConfigDict(
        from_attributes=True,
        extra="forbid",
        alias_generator=AliasGenerator(serialization_alias=to_camel),
        serialize_by_alias=True,
        json_schema_serialization_defaults_required=True,
    )


def rounded(digits: int) -> AfterValidator:
    """Return what rounds a number to so many digits."""
    return AfterValidator(lambda value: round(value, digits))
