"""The embedder's model is shown as these models say."""

from pydantic import Field

from lookalike_gateway.models.answer import Answer, Count


class TextEncoder(Answer):
    """The text encoder has limits."""

    max_characters: Count = Field(description="Of a text, in Unicode code points.")
    max_tokens: Count = Field(description="Of a text, as the model's tokenizer counts them.")


class Model(Answer):
    """The model makes vectors of photos, and of words if it has a text encoder."""

    space: str = Field(description="The embedding space of its vectors.")
    dimensions: Count = Field(description="How many numbers a vector has.")
    architecture: str = Field(description="For example `vgg16-layout512`.")
    text_encoder: TextEncoder | None = Field(description="Null if searches take no words.")
