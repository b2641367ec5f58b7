"""Decisions about duplicates come in, and what became of them goes out, as these models say."""

from datetime import datetime

from pydantic import Field

from lookalike_gateway.models.answer import Answer, Count, PageToken, Sha256
from lookalike_gateway.models.body import Body


class Merge(Body):
    """A merge names the image that is kept, and its duplicates."""

    keep: Sha256
    duplicates: list[Sha256] = Field(
        min_length=1, max_length=1000, description="Their references move to the kept image, and they are deleted."
    )
    dry_run: bool = Field(default=False, description="Only say what would be done.")


class Merged(Answer):
    """The answer says what was done, or would be."""

    references_moved: Count = Field(validation_alias="moved_reference_count", description="To the kept image.")
    images_deleted: Count = Field(validation_alias="deleted_image_count", description="The duplicates.")


class Dismiss(Body):
    """To dismiss images is to say that they are no duplicates of one another."""

    images: list[Sha256] = Field(min_length=2, max_length=100, description="Every pair of these is meant.")


class Dismissed(Answer):
    """The answer says how much was remembered."""

    dismissed: Count = Field(description="How many pairs are new.")


class Dismissal(Answer):
    """A dismissal says of two images that they are no duplicates of one another."""

    sha256: Sha256
    other_sha256: Sha256
    create_time: datetime = Field(description="When that was said.")


class DismissalPage(Answer):
    """A page of dismissals is in the order in which they were said."""

    dismissals: list[Dismissal]
    next_page_token: PageToken


class DismissalsDeleted(Answer):
    """The answer says how much was taken back."""

    deleted: Count = Field(description="How many pairs.")
