"""Images go out as these models say, and the places where they are used."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from pydantic import AliasPath, BeforeValidator, Field, ValidationInfo

from lookalike import records
from lookalike_gateway.models.answer import Answer, Count, PageToken, Sha256, rounded

Similarity = Annotated[float, Field(ge=-1.001, le=1.001), rounded(6)]


def _thumbnail_url(sha256: str, info: ValidationInfo) -> str:
    return str(info.context(sha256)) if info.context else ""


def _products(references: Sequence[records.Reference]) -> list[records.Reference]:
    """Return references to the products that an image shows, each product once."""
    return list(
        {
            (reference.product, reference.variant, reference.staged): reference
            for reference in references
            if reference.product
        }.values()
    )


class ProductVariant(Answer):
    """A variant of a product is what an image shows."""

    product: str = Field(description="The product.")
    variant_id: str = Field(validation_alias="variant", description="Its variant; empty if there is none.")
    staged: bool = Field(description="Whether this is the product's staged (not yet published) version.")


class Reference(ProductVariant):
    """A reference is a place where an image is used."""

    uri: str = Field(description="Where the image lives.")
    labels: dict[str, str] = Field(description="Its labels.")


class ShownImage(Answer):
    """Hits and images have this in common. The context makes a thumbnail's URL of a hash."""

    sha256: Sha256
    image_url: str = Field(
        validation_alias=AliasPath("references", 0, "uri"),
        description="Where the image is used: the URI of its oldest reference.",
    )
    thumbnail_url: Annotated[str, BeforeValidator(_thumbnail_url)] = Field(
        validation_alias="sha256",
        description="A small picture: of a local file below a configured root, or the fingerprint's, of at most 160"
        " pixels; 404 if there is neither.",
    )
    width: Count = Field(description="In pixels; 0 if unknown.")
    height: Count = Field(description="In pixels; 0 if unknown.")
    product_variants: Annotated[list[ProductVariant], BeforeValidator(_products)] = Field(
        validation_alias="references", description="The products that the image shows, each once."
    )
    references: list[Reference] = Field(
        description="Where the image is used, oldest first: at most 100; with a filter, what passes it."
    )
    reference_count: Count = Field(description="How many such places there are.")
    featureless: bool = Field(
        description="Whether it shows nothing but one colour, so that it is a near duplicate of nothing."
    )


class Image(ShownImage):
    """An image belongs to a project."""

    create_time: datetime = Field(description="When it was first indexed.")
    file_size: Count = Field(description="How many bytes its file has; 0 if unknown.")


class ImagePage(Answer):
    """A page of images is in the order in which they were indexed."""

    images: list[Image]
    next_page_token: PageToken
