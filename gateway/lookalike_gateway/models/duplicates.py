"""Duplicates go out as these models say."""

from types import SimpleNamespace
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from lookalike import records
from lookalike_gateway.models.answer import Answer, Count
from lookalike_gateway.models.image import Image, Similarity
from lookalike_gateway.models.match import Basis, Match
from lookalike_gateway.models.proof import Proof


class DuplicateImage(Image):
    """An image of a cluster has a nearest fellow there: of those it is a duplicate of, the most similar one."""

    similarity: Similarity = Field(description="Cosine to the nearest fellow; 1 for an image by itself.")
    nearest_sha256: Annotated[str | None, BeforeValidator(lambda sha256: sha256 or None)] = Field(
        description="The nearest fellow's hash; null for an image by itself."
    )
    match: Match
    match_basis: Basis
    proof: Proof | None = Field(
        description="What was done to the nearest fellow (the proof's image) so that it became this image (its query);"
        " null unless that was proven."
    )
    product_count: Count = Field(description="How many different products show the image.")

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, duplicate: records.DuplicateImage) -> SimpleNamespace:
        return SimpleNamespace(**vars(duplicate.image), **{**vars(duplicate), "image": None})


class Cluster(Answer):
    """A cluster is images that are duplicates of one another, or one image that is used in several places."""

    image_count: Count = Field(description="How many images it has.")
    keep: Literal["largest", "oldest", "most-used"] = Field(
        description="The rule by which the first image is suggested to be kept."
    )
    images: list[DuplicateImage] = Field(
        description="First the one that is suggested to be kept, then by their similarity: at most 1,000."
    )


class Pairs(Answer):
    """The pairs of images at or above the least similarity have become this so far."""

    near: Count = Field(validation_alias="near_count", description="How many there are.")
    verified: Count = Field(validation_alias="verified_count", description="How many were verified.")
    proven: Count = Field(validation_alias="proven_count", description="How many of these were proven to be copies.")
    recoloured: Count = Field(
        validation_alias="recoloured_count", description="How many of these are the same photo in other colours."
    )
    by_cosine: Count = Field(
        validation_alias="cosine_count", description="How many the cosine told, for want of something to compare."
    )
    unverified: Count = Field(
        validation_alias="unverified_count", description="How many were not verified, as there are limits."
    )
    dismissed: Count = Field(
        validation_alias="dismissed_count", description="How many would have joined images that were dismissed."
    )


class Progress(Answer):
    """A search for duplicates has come this far."""

    images_examined: Count = Field(validation_alias="examined_count", description="Since the beginning.")
    images: Count = Field(validation_alias="image_count", description="How many there are.")
    resume_token: str = Field(description="`resume_token` of the request that goes on here.")
    pairs: Pairs


class DuplicatePage(Answer):
    """A page of clusters says how far the search has come."""

    clusters: list[Cluster]
    complete: bool = Field(description="Whether this was the end; else go on with the resume token.")
    progress: Progress | None


class DuplicateLine(Answer):
    """The stream of duplicates has such lines."""

    cluster: Cluster
    progress: Progress
