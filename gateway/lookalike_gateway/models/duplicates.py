"""Duplicates go out as these models say."""

from types import SimpleNamespace

from pydantic import Field, model_validator

from lookalike import records
from lookalike_gateway.models.answer import Answer, Count
from lookalike_gateway.models.image import Image, Similarity


class DuplicateImage(Image):
    """An image of a cluster is like its first one."""

    similarity: Similarity = Field(description="Cosine to the cluster's first image.")

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, duplicate: records.DuplicateImage) -> SimpleNamespace:
        return SimpleNamespace(**vars(duplicate.image), similarity=duplicate.similarity)


class Cluster(Answer):
    """A cluster is images that are duplicates of one another, or one image that is used in several places."""

    image_count: Count = Field(description="How many images it has.")
    images: list[DuplicateImage] = Field(description="The earliest-indexed first: at most 1,000.")


class Progress(Answer):
    """A search for duplicates has come this far."""

    images_examined: Count = Field(validation_alias="examined_count", description="Since the beginning.")
    images: Count = Field(validation_alias="image_count", description="How many there are.")
    resume_token: str = Field(description="`resume_token` of the request that goes on here.")


class DuplicatePage(Answer):
    """A page of clusters says how far the search has come."""

    clusters: list[Cluster]
    complete: bool = Field(description="Whether this was the end; else go on with the resume token.")
    progress: Progress | None


class DuplicateLine(Answer):
    """The stream of duplicates has such lines."""

    cluster: Cluster
    progress: Progress
