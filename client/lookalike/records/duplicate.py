"""These records are about duplicates inside a project."""

from dataclasses import dataclass

from lookalike.records.image import Image


@dataclass(frozen=True)
class DuplicateProgress:
    """The progress is how far a search for duplicates has come.

    Attributes:
        examined_count: how many images were examined since the beginning.
        image_count: how many there are.
        resume_token: where to go on, if it ends here.
    """

    examined_count: int
    image_count: int
    resume_token: str


@dataclass(frozen=True)
class DuplicateImage:
    """A cluster's image has a cosine between it and the cluster's first image, in [-1, 1]."""

    image: Image
    similarity: float


@dataclass(frozen=True)
class DuplicateCluster:
    """A cluster is images that are duplicates of one another, or one image that is used in several places.

    Attributes:
        images: the earliest-indexed first, then by similarity to it: at most 1,000.
        image_count: how many the cluster has.
        progress: how far the search had come with it.
    """

    images: tuple[DuplicateImage, ...]
    image_count: int
    progress: DuplicateProgress
